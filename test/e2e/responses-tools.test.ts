import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMessages } from '../support/openai-http.ts';
import { makeToolChatModel, type ToolChatModel } from '../support/tool-chat-model.ts';
import { SmallSystem } from '../support/small-system.ts';

type Call = OpenAI.Responses.ResponseFunctionToolCall;
type Event = OpenAI.Responses.ResponseStreamEvent;

const parameters = {
  type: 'object',
  properties: { city: { type: 'string', enum: ['Köln', 'Paris'] }, days: { type: 'integer' } },
  required: ['city', 'days'],
};
const tools = [
  { type: 'function' as const, name: 'get_weather', description: 'Weather', parameters, strict: true },
];
const input = 'Weather in Köln?';
const ask = {
  model: 'qwen3',
  input,
  tools,
  tool_choice: 'required' as const,
  parallel_tool_calls: false,
  max_output_tokens: 120,
  tidar: { seed: 3, chat_template_kwargs: { enable_thinking: false } },
};

let model: ToolChatModel;
let system: SmallSystem;
let client: OpenAI;
beforeAll(async () => {
  model = makeToolChatModel('qwen3');
  system = await SmallSystem.start(model.path);
  client = system.openai();
});
afterAll(async () => {
  await system.stop();
  model.remove();
});

const callsOf = ({ output }: OpenAI.Responses.Response): Call[] =>
  output.filter((item) => item.type === 'function_call');
const eventsOf = async (path: string, body?: object): Promise<Event[]> => {
  const response = await fetch(`${system.edge.url}/v1/responses${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${system.key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await readMessages(response)).map(({ data }) => JSON.parse(data) as Event);
};

describe('a response with tools', () => {
  it('calls what the chat completion calls, and tells its tools back', async () => {
    const chat = await client.chat.completions.create({
      model: 'qwen3',
      messages: [{ role: 'user', content: input }],
      tools: tools.map(({ type, ...rest }) => ({ type, function: rest })),
      tool_choice: 'required',
      parallel_tool_calls: false,
      max_tokens: 120,
      seed: 3,
      ...{ chat_template_kwargs: { enable_thinking: false } },
    });
    const response = await client.responses.create(ask);
    const [call] = callsOf(response);
    const [expected] = chat.choices[0]!.message.tool_calls as OpenAI.ChatCompletionMessageFunctionToolCall[];
    expect(call).toMatchObject({ name: 'get_weather', arguments: expected!.function.arguments });
    expect(['Köln', 'Paris']).toContain((JSON.parse(call!.arguments) as { city: string }).city);
    expect(response).toMatchObject({ status: 'completed', tools, tool_choice: 'required' });
    expect(response).toMatchObject({ parallel_tool_calls: false, output_text: '' });
    expect(await client.responses.retrieve(response.id)).toEqual(response);
  });

  it('streams its calls as OpenAI does, and goes on after any event as it went on the first time', async () => {
    const events = await eventsOf('', { ...ask, stream: true });
    const types = events.map(({ type }) => type);
    const isDelta = (type: string): boolean => type === 'response.function_call_arguments.delta';
    expect(types.filter((type) => !isDelta(type))).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const last = events.at(-1) as { response: OpenAI.Responses.Response };
    const written = (some: readonly Event[]): string =>
      some
        .map((event) => (event.type === 'response.function_call_arguments.delta' ? event.delta : ''))
        .join('');
    expect(written(events)).toBe(callsOf(last.response)[0]!.arguments);
    for (const [place, { sequence_number: after }] of events.entries()) {
      if (place % 3 !== 0 || place === events.length - 1) continue;
      const rest = events.slice(place + 1);
      const again = await eventsOf(`/${last.response.id}?stream=true&starting_after=${after}`);
      expect(written(again)).toBe(written(rest));
      expect(again.filter(({ type }) => !isDelta(type))).toEqual(rest.filter(({ type }) => !isDelta(type)));
    }
  });

  it('goes on from what its calls came to, sent back, referred to, or by the response before', async () => {
    const first = await client.responses.create(ask);
    const [call] = callsOf(first);
    const result = { type: 'function_call_output' as const, call_id: call!.call_id, output: '20 °C' };
    const next = { ...ask, tool_choice: 'none' as const };
    const sent = await client.responses.create({
      ...next,
      input: [{ role: 'user', content: input }, call!, result],
    });
    const referred = await client.responses.create({
      ...next,
      input: [{ role: 'user', content: input }, { type: 'item_reference', id: call!.id! }, result],
    });
    const previous = await client.responses.create({
      ...next,
      previous_response_id: first.id,
      input: [result],
    });
    expect(sent.output_text.length).toBeGreaterThan(0);
    expect(referred.output_text).toBe(sent.output_text);
    expect(previous.output_text).toBe(sent.output_text);
    expect(previous.usage!.input_tokens).toBe(sent.usage!.input_tokens);
  });

  it('is read by the client’s .stream helper', async () => {
    const stream = client.responses.stream(ask);
    const final = await stream.finalResponse();
    expect(callsOf(final)[0]!.name).toBe('get_weather');
  });
});
