import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { loadModelFolder } from '../../gpu-backend/src/model/folder.ts';
import type { Completion } from '../support/openai-http.ts';
import { RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import { BackendProcess } from '../support/backend-process.ts';
import { startEdgeHarness, TEST_SECRETS } from '../support/edge-harness.ts';
import { SmallSystem } from '../support/small-system.ts';

const tokenizer = loadModelFolder(DEMO_MODEL).tokenizer!;

let system: SmallSystem;
let client: RawClient;
beforeAll(async () => {
  system = await SmallSystem.start();
  client = system.rawClient();
});
afterAll(() => system.stop());

const messages = [
  { role: 'user', content: 'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?' },
];
const ask = { model: 'demo', messages, max_tokens: 40, seed: 11, temperature: 0 };

async function complete(changes: object = {}): Promise<Completion> {
  const answer = await client.complete({ ...ask, ...changes });
  if (answer.error !== undefined) throw new Error(JSON.stringify(answer.error));
  return answer;
}
const textOf = (answer: Completion, choice = 0): string => answer.choices[choice]?.message.content ?? '';

describe('tools', () => {
  it('of a model whose template knows none are refused by their name', async () => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    const { error } = await client.complete({ ...ask, tools });
    expect(error).toMatchObject({ param: 'tools', message: expect.stringContaining('knows no tools') });
    const variables = await client.complete({ ...ask, chat_template_kwargs: { enable_thinking: true } });
    expect(variables.error?.param).toBe('chat_template_kwargs.enable_thinking');
  });
});

describe('log-probabilities', () => {
  const asked = { logprobs: true, top_logprobs: 5, temperature: 1.2 };

  it('are one a token, spell the text, and are those of the likeliest tokens in falling order', async () => {
    const answer = await complete({ ...asked, tidar: { ignore_eos: true }, max_tokens: 20 });
    const content = answer.choices[0]?.logprobs?.content ?? [];
    expect(content).toHaveLength(answer.usage.completion_tokens);
    const bytes = content.flatMap((token) => token.bytes ?? []);
    expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(textOf(answer));
    for (const { token, logprob, top_logprobs: top } of content) {
      expect(top).toHaveLength(5);
      const sorted = top.map((other) => other.logprob).toSorted((a, b) => b - a);
      expect(top.map((other) => other.logprob)).toEqual(sorted);
      expect(Math.max(...sorted, logprob)).toBeLessThanOrEqual(0);
      const found = top.find((other) => other.token === token);
      if (found !== undefined) expect(found.logprob).toBe(logprob);
    }
  });

  it('are the same for n, for a stream, and for plain decoding', async () => {
    const of = (answer: Completion): unknown => answer.choices[0]?.logprobs;
    const one = await complete(asked);
    expect(of(await complete({ ...asked, n: 3 }))).toEqual(of(one));
    expect(of(await complete({ ...asked, tidar: { decoder: 'ar' } }))).toEqual(of(one));
    const { chunks } = await readChunks(await client.post({ ...ask, ...asked, stream: true }));
    const parts = chunks.flatMap(({ choices }) => choices.flatMap(({ logprobs }) => logprobs?.content ?? []));
    expect(parts).toEqual(one.choices[0]?.logprobs?.content);
  });

  it('are of the model itself: no temperature, bias or penalty changes them', async () => {
    const plain = (await complete({ logprobs: true })).choices[0]?.logprobs?.content[0];
    const biased = await complete({ logprobs: true, temperature: 2, top_p: 0.01, frequency_penalty: 2 });
    expect(biased.choices[0]?.logprobs?.content[0]).toEqual(plain);
  });

  it('of the prompt are one a token but the first, and ask no cached prefix', async () => {
    await complete();
    const answer = await complete({ tidar: { prompt_logprobs: 2 } });
    const scores = answer.tidar.prompt_logprobs!;
    expect(scores).toHaveLength(answer.usage.prompt_tokens);
    expect(scores[0]).toBeNull();
    expect(scores.slice(1).every((score) => score !== null && score.logprob <= 0)).toBe(true);
    expect(answer.usage.prompt_tokens_details.cached_tokens).toBe(0);
    expect(textOf(answer)).toBe(textOf(await complete()));
  });
});

describe('logit_bias', () => {
  it('of 100 forces a token, of -100 bans it, whatever decodes', async () => {
    const [forced] = tokenizer.encode('7');
    for (const tidar of [{ decoder: 'ar' }, { decoder: 'tidar' }]) {
      const all = await complete({ max_tokens: 8, logit_bias: { [forced!]: 100 }, tidar });
      expect(textOf(all)).toBe('7'.repeat(8));
      const banned = tokenizer.encode(textOf(await complete()))[0]!;
      const without = await complete({ logprobs: true, logit_bias: { [banned]: -100 }, tidar });
      expect(tokenizer.encode(textOf(without))).not.toContain(banned);
    }
  });

  it('of a token that the model does not have is refused by name', async () => {
    const response = await client.post({ ...ask, logit_bias: { 4_000_000: 1 } });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'logit_bias' } });
  });
});

describe('a response format', () => {
  const schema = {
    type: 'object',
    properties: { answer: { enum: ['yes', 'no'] }, sure: { type: 'boolean' } },
    required: ['answer', 'sure'],
    additionalProperties: false,
  };
  const jsonSchema = { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } };

  it.each([1, 2, 3])('of a JSON schema gives JSON of that schema, by seed %i', async (seed) => {
    const answer = await complete({ response_format: jsonSchema, temperature: 1.5, seed, max_tokens: 100 });
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    const value = JSON.parse(textOf(answer)) as { answer: string; sure: boolean };
    expect(Object.keys(value)).toEqual(['answer', 'sure']);
    expect(['yes', 'no']).toContain(value.answer);
    expect(typeof value.sure).toBe('boolean');
  });

  it('holds for each of n, streamed too', async () => {
    const body = {
      ...ask,
      response_format: jsonSchema,
      temperature: 1.5,
      max_tokens: 100,
      n: 3,
      stream: true,
    };
    const { chunks } = await readChunks(await client.post(body));
    for (const index of [0, 1, 2])
      expect(() => JSON.parse(textOfChunks(chunks, index)) as unknown).not.toThrow();
  });

  it('of any JSON object gives one', async () => {
    const braces = ['{', '}'].map((brace) => [tokenizer.encode(brace)[0]!, 100]);
    const answer = await complete({
      response_format: { type: 'json_object' },
      logit_bias: Object.fromEntries(braces) as Record<string, number>,
    });
    expect(JSON.parse(textOf(answer))).toEqual({});
  });

  it('may be a pattern or a grammar', async () => {
    const matched = await complete({ temperature: 1.5, tidar: { regex: '[a-f]{3}-[0-9]{2}' } });
    expect(textOf(matched)).toMatch(/^[a-f]{3}-[0-9]{2}$/);
    const chosen = await complete({ temperature: 1.5, tidar: { grammar: 'root ::= "up" | "down"' } });
    expect(['up', 'down']).toContain(textOf(chosen));
  });

  it.each([
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'tree' } } } },
      'response_format',
    ],
    [{ tidar: { regex: '(' } }, 'tidar.regex'],
    [{ tidar: { grammar: 'root ::= missing' } }, 'tidar.grammar'],
  ])('that cannot be kept is refused by name: %j', async (change, param) => {
    const response = await client.post({ ...ask, ...change });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as Completion;
    expect(error?.param).toMatch(new RegExp(`^${param}`));
  });
});

describe('a prompt that was seen before', () => {
  it('is taken from the cache for its own key, computed for another, and the text is the same', async () => {
    const [first, second] = await Promise.all(
      [1, 2].map(async () => new RawClient(system.edge.url, await system.edge.createKey())),
    );
    const cached = ({ usage }: Completion): number => usage.prompt_tokens_details.cached_tokens;
    const body = { ...ask, temperature: 1.2 };
    const cold = await first!.complete(body);
    const warm = await first!.complete(body);
    const other = await second!.complete(body);
    expect([cached(cold), cached(other)]).toEqual([0, 0]);
    expect(cached(warm)).toBeGreaterThan(0);
    expect(cached(warm)).toBeLessThan(warm.usage.prompt_tokens);
    expect([textOf(warm), textOf(other)]).toEqual([textOf(cold), textOf(cold)]);
    expect((await first!.usage()).total.cached_tokens).toBe(cached(warm));
    expect(await system.backend.metric('vllm:prefix_cache_hits_total')).toBeGreaterThanOrEqual(cached(warm));
  });
});

describe('a system with all that it can take', () => {
  it('tells one more client when to come again, and charges nothing for it', async () => {
    const small = await BackendProcess.start({
      modelPath: DEMO_MODEL,
      leaseSecrets: TEST_SECRETS.LEASE_SECRETS,
      args: ['--max-concurrent', '1', '--max-waiting', '1'],
    });
    const full = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: small.url }]) });
    try {
      const own = new RawClient(full.url, await full.createKey());
      const body = { ...ask, tidar: { ignore_eos: true, decoder: 'ar' }, max_tokens: 400 };
      const responses = await Promise.all(Array.from({ length: 6 }, () => own.post(body)));
      const refused = responses.filter(({ status }) => status === 503);
      expect(refused.length).toBeGreaterThanOrEqual(1);
      expect(responses.filter(({ status }) => status === 200).length).toBe(6 - refused.length);
      for (const response of refused) {
        expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
        expect(await response.json()).toMatchObject({ error: { code: 'overloaded' } });
      }
      const { total } = await own.usage();
      expect(total.completion_tokens).toBe(400 * (6 - refused.length));
    } finally {
      await full.close();
      await small.stop();
    }
  });
});
