import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModelFolder } from '../../gpu-backend/src/model/folder.ts';
import type { Tokenizer } from '../../gpu-backend/src/model/tokenizer.ts';
import type { Completion } from '../support/openai-http.ts';
import { RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import type { TinyChatModel } from '../support/tiny-chat-model.ts';
import { makeTinyChatModel } from '../support/tiny-chat-model.ts';
import { SmallSystem } from '../support/small-system.ts';

const PLANS = ['auto', 'dense', 'sparse', 'branches', 'two-pass'];

// A model that is sure of nothing: whatever changes how tokens are drawn changes its text.
let model: TinyChatModel;
let tokenizer: Tokenizer;
let system: SmallSystem;
let client: RawClient;
beforeAll(async () => {
  model = await makeTinyChatModel();
  tokenizer = loadModelFolder(model.path).tokenizer!;
  system = await SmallSystem.start(model.path);
  client = system.rawClient();
});
afterAll(async () => {
  await system.stop();
  await model.remove();
});

const messages = [{ role: 'user', content: 'how many are 12+30?' }];
const ask = { model: 'tiny-chat', messages, max_tokens: 40, seed: 11, temperature: 0 };

async function complete(changes: object = {}): Promise<Completion> {
  const answer = await client.complete({ ...ask, ...changes });
  if (answer.error !== undefined) throw new Error(JSON.stringify(answer.error));
  return answer;
}
const textOf = (answer: Completion, choice = 0): string => answer.choices[choice]?.message.content ?? '';

describe('n', () => {
  it('gives texts of their own, of which the first is that of n = 1, and bills all of them', async () => {
    const own = new RawClient(system.edge.url, await system.edge.createKey());
    const one = await complete({ temperature: 1.2 });
    const three = await own.complete({ ...ask, temperature: 1.2, n: 3 });
    expect(textOf(three)).toBe(textOf(one));
    expect(new Set(three.choices.map((_, index) => textOf(three, index))).size).toBeGreaterThan(1);
    expect(three.usage.completion_tokens).toBeGreaterThan(one.usage.completion_tokens);
    expect((await own.usage()).total).toMatchObject({
      num_requests: 1,
      completion_tokens: three.usage.completion_tokens,
    });
  });

  it('is streamed as the texts that it gives at once', async () => {
    const whole = await complete({ temperature: 1.2, n: 3 });
    const body = { ...ask, temperature: 1.2, n: 3, stream: true, stream_options: { include_usage: true } };
    const { chunks, isDone } = await readChunks(await client.post(body));
    expect(isDone).toBe(true);
    for (const index of [0, 1, 2]) expect(textOfChunks(chunks, index)).toBe(textOf(whole, index));
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: whole.usage.completion_tokens });
  });

  it('beyond what the backend decodes at once is refused by name', async () => {
    const response = await client.post({ ...ask, n: 9 });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'n' } });
  });
});

describe('every way to draw a token', () => {
  const base = { temperature: 2, max_tokens: 100 };

  it.each<[string, object]>([
    ['presence_penalty', { presence_penalty: 2 }],
    ['frequency_penalty', { frequency_penalty: 2 }],
    ['repetition_penalty', { tidar: { repetition_penalty: 2 } }],
    ['logit_bias', { logit_bias: { 5: 3, 6: -100 } }],
    ['top_k', { tidar: { top_k: 2 } }],
    ['min_p', { tidar: { min_p: 0.5 } }],
    ['top_p', { top_p: 0.5 }],
    ['regex', { tidar: { regex: '[0-9 ]{20}' } }],
  ])('with %s gives another text, the same by every plan as by plain decoding', async (_, change) => {
    const { tidar = {} } = change as { tidar?: object };
    const plain = await complete({ ...base, ...change, tidar: { ...tidar, decoder: 'ar' } });
    expect(textOf(plain)).not.toBe(textOf(await complete(base)));
    for (const plan of PLANS) {
      const drafted = await complete({ ...base, ...change, tidar: { ...tidar, plan } });
      expect(textOf(drafted)).toBe(textOf(plain));
      expect(drafted.usage.completion_tokens).toBe(plain.usage.completion_tokens);
    }
  });
});

describe('the end of a text', () => {
  /** `<|end|>`: with all bias on it, it is the first token. */
  const END = 2;
  const ending = { temperature: 1, logit_bias: { [END]: 100 } };
  const decoders = [{ decoder: 'ar' }, { decoder: 'tidar' }, { decoder: 'tidar', plan: 'dense' }];

  it('does not come before min_tokens, by end token or stop token, whatever decodes', async () => {
    expect((await complete(ending)).usage.completion_tokens).toBe(1);
    for (const tidar of decoders) {
      const ended = await complete({ ...ending, tidar: { ...tidar, min_tokens: 10 } });
      expect(ended.usage.completion_tokens).toBe(11);
      expect(ended.choices[0]?.finish_reason).toBe('stop');
      const [first] = tokenizer.encode(textOf(await complete()));
      const stopped = await complete({ tidar: { ...tidar, min_tokens: 10, stop_token_ids: [first] } });
      expect(stopped.usage.completion_tokens).toBeGreaterThan(10);
    }
  });

  it('is not the end token where that is ignored', async () => {
    for (const tidar of decoders) {
      const ignored = await complete({ ...ending, tidar: { ...tidar, ignore_eos: true } });
      expect(ignored.usage.completion_tokens).toBe(40);
      expect(ignored.choices[0]?.finish_reason).toBe('length');
    }
  });

  it('is a stop token, which counts', async () => {
    const tokenIds = tokenizer.encode(textOf(await complete()));
    const stop = tokenIds[7]!;
    const answer = await complete({ tidar: { stop_token_ids: [stop] } });
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    expect(answer.usage.completion_tokens).toBe(tokenIds.indexOf(stop) + 1);
  });
});

describe('plans', () => {
  it('are named in the trace that shows what they did', async () => {
    for (const plan of PLANS) {
      const body = { ...ask, stream: true, tidar: { plan, trace: 'stats' } };
      const { chunks } = await readChunks(await client.post(body));
      const plans = chunks.flatMap(({ tidar }) =>
        tidar?.token_ids === undefined ? [] : [(tidar as { plan?: string }).plan],
      );
      expect(new Set(plans)).toEqual(new Set([plan]));
    }
  });

  it('are the dense one where trust is below 1, and no other', async () => {
    const body = { ...ask, stream: true, tidar: { beta: 0.5, trace: 'stats' } };
    const { chunks, isDone } = await readChunks(await client.post(body));
    expect(isDone).toBe(true);
    expect(chunks.some(({ tidar }) => (tidar as { plan?: string } | undefined)?.plan === 'dense')).toBe(true);
    const refused = await client.post({ ...ask, tidar: { beta: 0.5, plan: 'auto' } });
    expect(await refused.json()).toMatchObject({ error: { param: 'tidar.beta' } });
  });
});
