import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { loadModelFolder } from '../../gpu-backend/src/model/folder.ts';
import { SmallSystem } from '../support/small-system.ts';

type Params = OpenAI.CompletionCreateParamsNonStreaming;

const { tokenizer } = loadModelFolder(DEMO_MODEL);
if (tokenizer === undefined) throw new Error('the demo model has a tokenizer');
const question = [{ role: 'user' as const, content: 'What is the capital of France?' }];
const templated = tokenizer.encodeChat(question);
const ask = { model: 'demo', prompt: templated, max_tokens: 12, seed: 11, temperature: 0 };
const text = 'Ünder the sky 🌍, the';

let system: SmallSystem;
let client: OpenAI;
beforeAll(async () => {
  system = await SmallSystem.start();
  client = system.openai();
});
afterAll(() => system.stop());

const complete = (changes: Partial<Params> = {}): Promise<OpenAI.Completion> =>
  client.completions.create({ ...ask, ...changes });

function post(changes: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${system.edge.url}/v1/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${system.key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ...ask, ...changes }),
  });
}

describe('a completion', () => {
  it('of the chat template’s token ids is the answer of the chat completion', async () => {
    const { prompt: _, ...rest } = ask;
    const chat = await client.chat.completions.create({ ...rest, messages: question });
    const answer = await complete();
    expect(answer.object).toBe('text_completion');
    expect(answer.id).toMatch(/^cmpl-/);
    expect(answer.choices[0]?.text).toBe(chat.choices[0]?.message.content);
    expect(answer.choices[0]?.finish_reason).toBe(chat.choices[0]?.finish_reason);
    expect(answer.usage).toMatchObject({ prompt_tokens: templated.length });
  });

  it('of text is that of its tokens, as text, in a list or as ids', async () => {
    const one = (await complete({ prompt: text })).choices;
    for (const prompt of [[text], tokenizer.encode(text), [tokenizer.encode(text)]]) {
      expect((await complete({ prompt })).choices).toEqual(one);
    }
  });

  it('streams the same text, its usage and its finish reason, for each of n', async () => {
    const changes = { n: 2, temperature: 1.2, logprobs: 2, prompt: text, echo: true };
    const whole = await complete(changes);
    const texts = ['', ''];
    const tokens: string[][] = [[], []];
    const offsets: number[][] = [[], []];
    const reasons: unknown[] = [];
    let usage: unknown;
    const stream = await client.completions.create({
      ...ask,
      ...changes,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      usage = chunk.usage ?? usage;
      for (const { index, text: piece, logprobs, finish_reason: reason } of chunk.choices) {
        texts[index] += piece;
        tokens[index]!.push(...(logprobs?.tokens ?? []));
        offsets[index]!.push(...(logprobs?.text_offset ?? []));
        if (reason !== null) reasons[index] = reason;
      }
    }
    expect(texts).toEqual(whole.choices.map((choice) => choice.text));
    expect(tokens).toEqual(whole.choices.map(({ logprobs }) => logprobs?.tokens));
    expect(offsets).toEqual(whole.choices.map(({ logprobs }) => logprobs?.text_offset));
    expect(reasons).toEqual(whole.choices.map((choice) => choice.finish_reason));
    expect(usage).toMatchObject({ completion_tokens: whole.usage?.completion_tokens });
  });

  it('echoes its prompt with the log-probabilities of all tokens but the first', async () => {
    const { choices, usage } = await complete({ prompt: text, echo: true, logprobs: 2 });
    const [choice] = choices;
    const plain = (await complete({ prompt: text, logprobs: 2 })).choices[0];
    expect(choice?.text).toBe(text + plain?.text);
    const { tokens = [], token_logprobs: values = [], top_logprobs: tops = [] } = choice?.logprobs ?? {};
    const { text_offset: offsets = [] } = choice?.logprobs ?? {};
    const numTokens = (usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0);
    expect([tokens, values, tops, offsets].map(({ length }) => length)).toEqual(Array(4).fill(numTokens));
    expect([values[0], tops[0], offsets[0]]).toEqual([null, null, 0]);
    expect(values.slice(1).every((value) => value <= 0)).toBe(true);
    expect(values.slice(usage?.prompt_tokens)).toEqual(plain?.logprobs?.token_logprobs);
    const characters = [...(choice?.text ?? '')];
    for (const [index, token] of tokens.entries()) {
      if (token.startsWith('bytes:') || token.startsWith('<|')) continue;
      const offset = offsets[index]!;
      expect(characters.slice(offset, offset + [...token].length).join('')).toBe(token);
    }
    for (const top of tops.slice(1)) expect(Object.keys(top).length).toBeGreaterThanOrEqual(2);
  });

  it('stops before a stop text and keeps to a pattern', async () => {
    const whole = (await complete()).choices[0]?.text ?? '';
    const stop = whole.slice(2, 4);
    const cut = (await complete({ stop })).choices[0];
    expect(cut).toMatchObject({ text: whole.slice(0, whole.indexOf(stop)), finish_reason: 'stop' });
    const answer = (await (
      await post({ temperature: 1.5, tidar: { regex: '[ab]{3}' } })
    ).json()) as OpenAI.Completion;
    expect(answer.choices[0]?.text).toMatch(/^[ab]{3}$/);
  });

  it('is refused by the name that its client knows where the prompt is too long or a token unknown', async () => {
    for (const prompt of [Array<number>(3000).fill(5), [4_000_000]]) {
      const response = await post({ prompt });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { param: expect.stringMatching(/^prompt/) } });
    }
  });

  it('is the same answer, billed once, for the same Idempotency-Key, and goes on after any event', async () => {
    const headers = { 'idempotency-key': 'completion-1' };
    const body = { stream: true, stream_options: { include_usage: true }, prompt: text, echo: true };
    const numBefore = (await system.rawClient().usage()).total.num_requests;
    const whole = await (await post(body, headers)).text();
    expect(await (await post(body, headers)).text()).toBe(whole);
    expect((await system.rawClient().usage()).total.num_requests).toBe(numBefore + 1);

    const blocks = whole.split('\n\n').filter((block) => block !== '');
    const at = 2;
    const lastId = /^id: (.*)$/m.exec(blocks[at]!)![1]!;
    const rest = blocks.slice(blocks.findLastIndex((block) => block.includes(`id: ${lastId}\n`)) + 1);
    const resumed = await (await post(body, { ...headers, 'last-event-id': lastId })).text();
    expect(textOf(resumed)).toBe(textOf(rest.join('\n\n')));

    const id = /"id":"(cmpl-\w+)"/.exec(whole)![1]!;
    const response = await fetch(
      `${system.edge.url}/v1/responses/${id}?stream=true&starting_after=${encodeURIComponent(lastId)}`,
      { headers: { authorization: `Bearer ${system.key}` } },
    );
    const again = await response.text();
    expect(again).toContain('"object":"text_completion"');
    expect(textOf(again)).toBe(textOf(rest.join('\n\n')));
  });
});

describe('a model without a draft model', () => {
  it('is not said to decode by one, and refuses to', async () => {
    const model = await client.models.retrieve('demo');
    expect(model).toMatchObject({ tidar: { decoders: ['ar', 'tidar', 'diffusion'], tool_format: null } });
    const response = await post({ tidar: { decoder: 'speculative' } });
    expect(await response.json()).toMatchObject({ error: { param: 'tidar.decoder' } });
  });
});

function textOf(stream: string): string {
  const datas = [...stream.matchAll(/^data: (\{.*)$/gm)].map(([, data]) => data ?? '');
  return datas
    .flatMap((data) => (JSON.parse(data) as { choices: { text: string }[] }).choices)
    .map((choice) => choice.text)
    .join('');
}
