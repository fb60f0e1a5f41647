import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { AIMessage, type AIMessageChunk, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool as langChainTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BackendProcess } from '../support/backend-process.ts';
import { type EdgeHarness, startEdgeHarness, TEST_SECRETS } from '../support/edge-harness.ts';
import { makeToolChatModel, type ToolChatModel } from '../support/tool-chat-model.ts';

const schema = {
  type: 'object' as const,
  properties: { city: { type: 'string' as const, enum: ['Köln', 'Paris'] } },
  required: ['city'],
  additionalProperties: false,
};
const question = 'Weather in Köln?';
const plainly = { chat_template_kwargs: { enable_thinking: false }, seed: 3 };

let model: ToolChatModel;
let backend: BackendProcess;
let edge: EdgeHarness;
let apiKey: string;
let baseURL: string;
beforeAll(async () => {
  model = makeToolChatModel('qwen3');
  const leaseSecrets = TEST_SECRETS.LEASE_SECRETS;
  backend = await BackendProcess.start({ modelPath: model.path, leaseSecrets });
  edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: backend.url }]) });
  apiKey = await edge.createKey({ requests_per_minute: 1_000_000 });
  baseURL = `${edge.url}/v1`;
});
afterAll(async () => {
  await edge.close();
  await backend.stop();
  model.remove();
});

describe('the AI SDK', () => {
  const provider = () => createOpenAICompatible({ name: 'tidar', baseURL, apiKey, includeUsage: true });
  const settings = (asked: string[]) => ({
    model: provider()('qwen3'),
    maxOutputTokens: 80,
    maxRetries: 0,
    prompt: question,
    toolChoice: { type: 'tool' as const, toolName: 'get_weather' as const },
    providerOptions: { tidar: { ...plainly, parallel_tool_calls: false } },
    tools: {
      get_weather: tool({
        description: 'The weather of a city',
        inputSchema: jsonSchema<{ city: string }>(schema),
        execute: ({ city }: { city: string }) => {
          asked.push(city);
          return { sky: 'rain' };
        },
      }),
    },
  });

  it('calls a tool, runs it, and goes on with what it came to', async () => {
    const asked: string[] = [];
    const answer = await generateText({ ...settings(asked), stopWhen: isStepCount(2) });
    expect(answer.steps).toHaveLength(2);
    const [first] = answer.steps;
    expect(first?.finishReason).toBe('tool-calls');
    expect(first?.toolCalls[0]).toMatchObject({ toolName: 'get_weather', input: { city: asked[0] } });
    expect(schema.properties.city.enum).toContain(asked[0]);
    expect(asked).toHaveLength(2);
    expect(answer.steps[1]!.usage.inputTokens).toBeGreaterThan(first!.usage.inputTokens! + 20);
  });

  it('streams a call with its arguments in pieces', async () => {
    const stream = streamText(settings([]));
    let written = '';
    let called: unknown;
    for await (const part of stream.fullStream) {
      if (part.type === 'tool-input-delta') written += part.delta;
      if (part.type === 'tool-call') called = part.input;
    }
    expect(called).toEqual(JSON.parse(written));
    expect(await stream.finishReason).toBe('tool-calls');
  });
});

describe('LangChain', () => {
  const weather = langChainTool(({ city }: { city: string }) => `rain in ${city}`, {
    name: 'get_weather',
    description: 'The weather of a city',
    schema,
  });
  const bound = (choice: string) =>
    new ChatOpenAI({
      model: 'qwen3',
      apiKey,
      maxTokens: 80,
      maxRetries: 0,
      configuration: { baseURL },
      modelKwargs: plainly,
    }).bindTools([weather], { tool_choice: choice, parallel_tool_calls: false });

  it('gets the calls of bound tools, and sends back what they came to', async () => {
    const answer = await bound('get_weather').invoke(question);
    const [call] = answer.tool_calls ?? [];
    expect(call).toMatchObject({ name: 'get_weather', args: { city: expect.any(String) } });
    // As a tool that LangChain runs itself makes it.
    const result = new ToolMessage({ content: 'rain', tool_call_id: call!.id!, name: call!.name });
    const history = [new HumanMessage(question), new AIMessage(answer), result];
    const next = await bound('none').invoke(history);
    expect(next.tool_calls).toEqual([]);
  });

  it('streams the same calls', async () => {
    const whole = await bound('required').invoke(question);
    let joined: AIMessageChunk | undefined;
    for await (const chunk of await bound('required').stream(question))
      joined = joined === undefined ? chunk : joined.concat(chunk);
    expect(joined?.tool_calls?.map(({ name, args }) => ({ name, args }))).toEqual(
      whole.tool_calls?.map(({ name, args }) => ({ name, args })),
    );
  });

  it('gets objects of a schema by a function that it makes of it', async () => {
    const llm = new ChatOpenAI({
      model: 'qwen3',
      apiKey,
      maxTokens: 80,
      configuration: { baseURL },
      modelKwargs: plainly,
    });
    const structured = llm.withStructuredOutput<{ city: string }>(
      { title: 'place', ...schema },
      { method: 'functionCalling' },
    );
    expect(schema.properties.city.enum).toContain((await structured.invoke(question)).city);
  });
});
