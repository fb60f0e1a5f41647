import type { PassTrace } from '@tidar/shared/trace.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Chunk, Completion } from '../support/openai-http.ts';
import { type RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import { SmallSystem } from '../support/small-system.ts';

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
const ask = { model: 'demo', messages, max_tokens: 60, seed: 11, temperature: 0 };

const DECODERS: [name: string, tidar: object][] = [
  ['ar', { decoder: 'ar' }],
  ['tidar', { decoder: 'tidar' }],
  ['tidar, dense', { decoder: 'tidar', plan: 'dense', draft_length: 8 }],
  ['tidar, trusting its drafts by half', { decoder: 'tidar', beta: 0.5, draft_length: 4 }],
  ['diffusion', { decoder: 'diffusion', strategy: 'confidence', tokens_per_pass: 2 }],
];

interface TracedStep {
  token_ids: number[];
  rows: number;
  passes?: number;
  trace: PassTrace[];
}
const tracedOf = (chunks: readonly Chunk[]): TracedStep[] =>
  chunks.flatMap(({ tidar }) => (tidar?.token_ids === undefined ? [] : [tidar as unknown as TracedStep]));
const tokensOf = (steps: readonly TracedStep[]): PassTrace['tokens'] =>
  steps.flatMap(({ trace }) => trace.flatMap(({ tokens }) => tokens));

function joined(tokens: PassTrace['tokens']): string {
  const bytes = tokens.flatMap(({ token, bytes: own }) =>
    own === undefined ? [...new TextEncoder().encode(token)] : (own ?? []),
  );
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

describe.each(DECODERS)("trace 'full' of %s", (_, decoder) => {
  const tidar = { ...decoder, trace: 'full' };
  let chunks: Chunk[];
  let steps: TracedStep[];
  beforeAll(async () => {
    const body = { ...ask, tidar, stream: true, logprobs: true };
    ({ chunks } = await readChunks(await client.post(body)));
    steps = tracedOf(chunks);
  });

  it('has the tokens of the text in order, with the probabilities that logprobs tell', () => {
    const tokens = tokensOf(steps);
    expect(joined(tokens)).toBe(textOfChunks(chunks));
    expect(tokens.map(({ token_id }) => token_id)).toEqual(steps.flatMap(({ token_ids }) => token_ids));
    const scores = chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
    expect(tokens.map(({ ar_logprob, draft_logprob }) => ar_logprob ?? draft_logprob)).toEqual(
      scores.map(({ logprob }) => logprob),
    );
    expect(tokens.map(({ token }) => token)).toEqual(scores.map(({ token }) => token));
  });

  it('shows as many rows as the pass had, and every pass', () => {
    for (const { rows, trace, passes = 1 } of steps) {
      expect(trace).toHaveLength(passes);
      const shown = trace.reduce((sum, pass) => sum + pass.rows.positions.length + pass.pending_rows, 0);
      expect(shown).toBe(rows);
    }
    const ending = chunks.findLast((chunk) => chunk.tidar?.num_forward_passes !== undefined);
    expect(steps.flatMap(({ trace }) => trace)).toHaveLength(ending!.tidar!.num_forward_passes!);
  });

  it('is the same in a whole answer, and none is there where stats alone are asked for', async () => {
    const whole = await client.complete({ ...ask, tidar });
    const { steps: told } = whole.tidar as Completion['tidar'] & { steps: TracedStep[] };
    expect(joined(tokensOf(told))).toBe(whole.choices[0]?.message.content);
    expect(tokensOf(told)).toMatchObject(tokensOf(steps).map(({ token_id }) => ({ token_id })));
    expect(whole.choices[0]?.logprobs).toBeNull();
    const stats = await client.complete({ ...ask, tidar: { ...decoder, trace: 'stats' } });
    expect(stats.choices).toEqual(whole.choices);
    expect(JSON.stringify(stats)).not.toContain('"trace"');
  });
});

describe("trace 'full'", () => {
  const tidar = { trace: 'full', plan: 'dense', draft_length: 4 };

  it('ends with the token that completed a stop string, as the answer does', async () => {
    const { chunks } = await readChunks(await client.post({ ...ask, tidar, stream: true, stop: [' * 6'] }));
    const steps = tracedOf(chunks);
    const tokens = tokensOf(steps);
    expect(tokens).toHaveLength(steps.flatMap(({ token_ids }) => token_ids).length);
    expect(joined(tokens)).toBe(`${textOfChunks(chunks)} * 6`);
  });

  it('is of each text by itself, where there are several', async () => {
    const body = { ...ask, tidar, n: 2, temperature: 1, stream: true };
    const { chunks } = await readChunks(await client.post(body));
    for (const choice of [0, 1]) {
      const own = chunks.filter((chunk) => chunk.tidar?.choice === choice);
      expect(joined(tokensOf(tracedOf(own)))).toBe(textOfChunks(chunks, choice));
    }
  });

  it('is not kept: the answer that the journal gives again has none', async () => {
    const answer = await client.post({ ...ask, tidar });
    const id = answer.headers.get('x-request-id') ?? '';
    const { choices } = (await answer.json()) as Completion;
    const headers = { authorization: `Bearer ${client.key}` };
    const again = await (await fetch(`${system.edge.url}/v1/responses/${id}`, { headers })).text();
    expect((JSON.parse(again) as Completion).choices).toEqual(choices);
    expect(again).not.toContain('"trace"');
  });
});
