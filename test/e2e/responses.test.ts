import OpenAI from 'openai';
import type { ResponseStreamEvent } from 'openai/resources/responses/responses';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMessages } from '../support/openai-http.ts';
import { SmallSystem } from '../support/small-system.ts';

const question = 'What is the capital of France?';
const instructions = 'Answer in one sentence.';
const ask = { model: 'demo', input: question, max_output_tokens: 24, temperature: 0 };

let system: SmallSystem;
let client: OpenAI;
beforeAll(async () => {
  system = await SmallSystem.start();
  client = system.openai();
});
afterAll(() => system.stop());

const chatText = async (
  messages: OpenAI.ChatCompletionMessageParam[],
  more: object = {},
): Promise<string> => {
  const chat = await client.chat.completions.create({
    model: 'demo',
    messages,
    max_tokens: 24,
    temperature: 0,
    ...more,
  });
  return chat.choices[0]!.message.content!;
};
const post = (body: object, headers: object = {}): Promise<Response> =>
  fetch(`${system.edge.url}/v1/responses`, {
    method: 'POST',
    headers: { authorization: `Bearer ${system.key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ...ask, ...body }),
  });
const get = (path: string): Promise<Response> =>
  fetch(`${system.edge.url}/v1/responses/${path}`, { headers: { authorization: `Bearer ${system.key}` } });
const eventsOf = async (response: Response): Promise<ResponseStreamEvent[]> =>
  (await readMessages(response)).map((message) => {
    const event = JSON.parse(message.data) as ResponseStreamEvent;
    expect([message.event, message.id]).toEqual([event.type, String(event.sequence_number)]);
    return event;
  });
const deltasOf = (events: readonly ResponseStreamEvent[]): string =>
  events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');

describe('a response', () => {
  it('has the text of the chat completion of its messages, with the instructions as the system’s', async () => {
    const chat = await chatText([
      { role: 'system', content: instructions },
      { role: 'user', content: question },
    ]);
    const response = await client.responses.create({
      ...ask,
      instructions,
      metadata: { a: 'b' },
      user: 'ann',
    });
    expect(response.output_text).toBe(chat);
    expect(response).toMatchObject({
      object: 'response',
      instructions,
      metadata: { a: 'b' },
      user: 'ann',
      max_output_tokens: 24,
      temperature: 0,
      error: null,
      tools: [],
      store: true,
      text: { format: { type: 'text' } },
      output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', annotations: [] }] }],
    });
    expect(response.id).toMatch(/^resp_/);
    const { usage } = response;
    expect(usage!.total_tokens).toBe(usage!.input_tokens + usage!.output_tokens);
    const list = await client.responses.create({
      ...ask,
      input: [
        { role: 'developer', content: [{ type: 'input_text', text: instructions }] },
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: question }] },
      ],
    });
    expect(list.output_text).toBe(chat);
  });

  it('ends as incomplete where its limit cut it, and tells its log-probabilities where they are included', async () => {
    const cut = await client.responses.create({ ...ask, max_output_tokens: 2 });
    expect(cut).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ status: 'incomplete' }],
    });
    const include = ['message.output_text.logprobs' as const];
    const whole = await client.responses.create({ ...ask, include, top_logprobs: 2 });
    const part = (whole.output[0] as OpenAI.Responses.ResponseOutputMessage).content[0];
    const { logprobs = [], text } = part as OpenAI.Responses.ResponseOutputText;
    // Of the text alone: the token that ends it has none.
    expect(logprobs.map(({ token }) => token).join('')).toBe(text);
    expect(logprobs.every(({ top_logprobs: top }) => top.length >= 2)).toBe(true);
  });

  it('keeps to a schema, which it tells back, and .parse reads it', async () => {
    const schema = {
      type: 'object',
      properties: { answer: { type: 'string', enum: ['yes', 'no'] } },
      required: ['answer'],
      additionalProperties: false,
    };
    const format = { type: 'json_schema' as const, name: 'answer', schema, strict: true };
    const response = await client.responses.parse({ ...ask, max_output_tokens: 60, text: { format } });
    expect(['yes', 'no']).toContain((JSON.parse(response.output_text) as { answer: string }).answer);
    expect(response.text?.format).toMatchObject(format);
    const any = await client.responses.create({ ...ask, text: { format: { type: 'json_object' } } });
    expect(any.output_text).toMatch(/^\{/);
    expect(any.text?.format).toEqual({ type: 'json_object' });
  });

  it('takes the tidar object, with the seed and the stop texts that OpenAI’s responses have not', async () => {
    const tidar = { seed: '18446744073709551615', decoder: 'ar', regex: '[ab]{3}' };
    const first = (await (await post({ temperature: 1.5, tidar })).json()) as Told;
    const second = (await (await post({ temperature: 1.5, tidar })).json()) as Told;
    expect(textOf(first)).toMatch(/^[ab]{3}$/);
    expect(textOf(second)).toBe(textOf(first));
    expect(first.tidar).toMatchObject({ seed: tidar.seed, num_forward_passes: expect.any(Number) });
    const traced = (await (await post({ tidar: { trace: 'stats' } })).json()) as Told;
    const tokenIds = traced.tidar.steps!.flatMap((step) => step.token_ids);
    expect(tokenIds.length).toBe(traced.usage.output_tokens);
  });

  it('goes on with the response before, whose instructions are not its own', async () => {
    const first = await client.responses.create({ ...ask, instructions });
    const next = { ...ask, input: 'And of Spain?', previous_response_id: first.id };
    const second = await client.responses.create(next);
    const messages = [
      { role: 'user' as const, content: question },
      { role: 'assistant' as const, content: first.output_text },
      { role: 'user' as const, content: 'And of Spain?' },
    ];
    expect(second.output_text).toBe(await chatText(messages));
    expect(second.previous_response_id).toBe(first.id);
    const third = await client.responses.create({ ...ask, input: 'Hi', previous_response_id: second.id });
    const longer = [
      ...messages,
      { role: 'assistant' as const, content: second.output_text },
      { role: 'user' as const, content: 'Hi' },
    ];
    expect(third.output_text).toBe(await chatText(longer));
    const sentBack = await client.responses.create({
      ...ask,
      input: [
        { role: 'user', content: question },
        ...(first.output as OpenAI.Responses.ResponseInputItem[]),
        { role: 'user', content: 'And of Spain?' },
      ],
    });
    expect(sentBack.output_text).toBe(second.output_text);
  });

  it('refuses to go on with one that is not there, not kept, or another key’s', async () => {
    const forgotten = await client.responses.create({ ...ask, store: false });
    const other = new OpenAI({
      baseURL: `${system.edge.url}/v1`,
      apiKey: await system.edge.createKey(),
      maxRetries: 0,
    });
    const foreign = await other.responses.create(ask);
    for (const id of ['resp_0', forgotten.id, foreign.id]) {
      const response = await post({ previous_response_id: id });
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({
        error: { code: 'not_found', param: 'previous_response_id' },
      });
    }
  });
});

describe('a streamed response', () => {
  it('is OpenAI’s events in OpenAI’s order, and the last one is the whole response', async () => {
    const events = await eventsOf(await post({ stream: true }));
    const types = events.map(({ type }) => type);
    const numDeltas = types.filter((type) => type === 'response.output_text.delta').length;
    expect(numDeltas).toBeGreaterThan(1);
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      ...Array<string>(numDeltas).fill('response.output_text.delta'),
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      expect.stringMatching(/^response\.(completed|incomplete)$/),
    ]);
    const numbers = events.map((event) => event.sequence_number);
    expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other));
    const { response } = told(events.at(-1));
    expect(deltasOf(events)).toBe(textOf(response));
    const read = (await (await get(response.id)).json()) as Told;
    expect(read).toEqual(response);
  });

  it('is read by the client’s .stream helper, whose final response it is', async () => {
    const stream = client.responses.stream({ ...ask, include: ['message.output_text.logprobs'] });
    let text = '';
    stream.on('response.output_text.delta', ({ delta }) => void (text += delta));
    const final = await stream.finalResponse();
    expect(final.output_text).toBe(text);
    expect(text).toBe(await chatText([{ role: 'user', content: question }]));
    const again = client.responses.stream({ response_id: final.id, starting_after: 3 } as never);
    expect((await again.finalResponse()).output_text).toBe(text);
  });

  it('goes on after any of its events as it went on the first time, with what it scores', async () => {
    const body = { stream: true, include: ['message.output_text.logprobs'], top_logprobs: 1 };
    const events = await eventsOf(await post(body));
    const { id } = told(events[0]).response;
    const scoresOf = (some: readonly ResponseStreamEvent[]): unknown[] =>
      some.flatMap((event) => (event.type === 'response.output_text.delta' ? event.logprobs : []));
    const places = [0, 2, 3, 5, events.length - 5, events.length - 4, events.length - 2];
    for (const place of places) {
      const after = events[place]!.sequence_number;
      const rest = events.slice(place + 1);
      const again = await eventsOf(await get(`${id}?stream=true&starting_after=${after}`));
      expect(deltasOf(again)).toBe(deltasOf(rest));
      expect(scoresOf(again)).toEqual(scoresOf(rest));
      expect(again.filter(isNoDelta)).toEqual(rest.filter(isNoDelta));
    }
    const beyond = await eventsOf(await get(`${id}?stream=true&starting_after=100000`));
    expect(beyond.map(({ type }) => type)).toEqual(['response.failed', 'error']);
    for (const wrong of ['x', '-1', '1.5', '1,2']) {
      expect((await get(`${id}?stream=true&starting_after=${wrong}`)).status).toBe(400);
    }
  });

  it('is the same, billed once, for the same Idempotency-Key, and goes on after its Last-Event-ID', async () => {
    const headers = { 'idempotency-key': 'response-1' };
    const numBefore = (await system.rawClient().usage()).total.num_requests;
    const whole = await (await post({ stream: true }, headers)).text();
    expect(await (await post({ stream: true }, headers)).text()).toBe(whole);
    const blocks = whole.split('\n\n').filter((block) => block !== '');
    const lastId = /^id: (.*)$/m.exec(blocks[5]!)![1]!;
    const resumed = await (await post({ stream: true }, { ...headers, 'last-event-id': lastId })).text();
    expect(resumed).toBe(`${blocks.slice(6).join('\n\n')}\n\n`);
    expect((await system.rawClient().usage()).total.num_requests).toBe(numBefore + 1);
  });
});

describe('an answer that is read again', () => {
  it('has the form of the route that made it: a chat completion is one, a completion has its echo', async () => {
    const chat = await system.rawClient().complete({
      model: 'demo',
      messages: [{ role: 'user', content: question }],
      max_tokens: 8,
    });
    expect(await (await get(chat.id)).json()).toEqual(chat);
    const completion = await client.completions.create({
      model: 'demo',
      prompt: 'The river',
      echo: true,
      logprobs: 1,
    });
    expect(completion.choices[0]!.text).toMatch(/^The river/);
    expect(await (await get(completion.id)).json()).toEqual(completion);
  });
});

describe('a response that its backend refuses', () => {
  it.each([
    [{ input: 'word '.repeat(3000) }, 'input'],
    [{ tidar: { logit_bias: { 4000000: 1 } } }, 'tidar.logit_bias'],
    [
      { text: { format: { type: 'json_schema', name: 'a', schema: { type: 'string', not: {} } } } },
      'text.format',
    ],
  ])('is refused in the words of its client: %.0j%s', async (body, param) => {
    const response = await post(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param } });
  });
});

interface Told {
  id: string;
  output: { content: { text: string }[] }[];
  usage: { output_tokens: number };
  tidar: { seed: string; num_forward_passes: number; steps?: { token_ids: number[] }[] };
}

const told = (event: unknown): { response: Told } => event as { response: Told };
const textOf = ({ output }: Told): string => output[0]?.content[0]?.text ?? '';
const isNoDelta = ({ type }: ResponseStreamEvent): boolean => type !== 'response.output_text.delta';
