import { TidarError } from '@tidar/shared/errors.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import { GREEDY, openFixture, PROMPT, recording, withConfig } from '../engine/testing.ts';
import type { Decoder } from './decoder.ts';
import { generate } from './generate.ts';
import type { DecodeEvent, GenerateOptions } from './generate.ts';
import { soloEngine } from './solo-engine.ts';

type StepEvent = Extract<DecodeEvent, { type: 'step' }>;
type EndEvent = Extract<DecodeEvent, { type: 'end' }>;

const AR: Decoder = { type: 'ar' };
const SAMPLED = { ...GREEDY, temperature: 0.9, seed: 2n ** 63n + 11n };

let session: ModelSession;
beforeAll(async () => {
  session = await openFixture('llama-tidar');
});
afterAll(() => session.dispose());

function tidar(draftLength: number, beta = 1): Decoder {
  return { type: 'tidar', plan: 'dense', draftLength, beta };
}

function options(changes: Partial<GenerateOptions> = {}): GenerateOptions {
  const defaults = {
    promptIds: PROMPT,
    maxTokens: 24,
    decoder: tidar(4),
    sampling: GREEDY,
    stopTokenIds: [],
  };
  return { ...defaults, ...changes };
}

interface Generated {
  steps: StepEvent[];
  tokenIds: number[];
  end: EndEvent;
}

async function collect(
  changes: Partial<GenerateOptions>,
  on = session,
  signal?: AbortSignal,
): Promise<Generated> {
  const steps: StepEvent[] = [];
  const ends: EndEvent[] = [];
  const engine = soloEngine(on);
  for await (const event of generate(engine, options(changes), signal === undefined ? {} : { signal })) {
    expect(ends).toEqual([]);
    if (event.type === 'step') steps.push(event);
    else ends.push(event);
  }
  engine.checkIntegrity();
  engine.dispose();
  expect(ends).toHaveLength(1);
  return { steps, tokenIds: steps.flatMap((step) => step.tokenIds), end: ends[0]! };
}

describe('a generation', () => {
  it('reports every forward pass, and its counts add up to the text', async () => {
    for (const decoder of [AR, tidar(1), tidar(4), tidar(16)]) {
      const { steps, tokenIds, end } = await collect({ decoder });
      expect(tokenIds).toHaveLength(24);
      expect(end).toEqual({ type: 'end', finishReason: 'length', numForwardPasses: steps.length });
      expect(steps.map((step) => step.isPrefill)).toEqual(steps.map((_, index) => index === 0));
      expect(steps[0]).toMatchObject({ numDrafted: 0, numAccepted: 0 });
      for (const step of steps.slice(1)) {
        expect(step.numAccepted).toBe(step.tokenIds.length);
        expect(step.numDrafted).toBeGreaterThanOrEqual(step.numAccepted);
        expect(step.milliseconds).toBeGreaterThan(0);
      }
    }
  });

  it('takes one forward pass for each token in plain decoding, prefill giving the first', async () => {
    const { steps, tokenIds } = await collect({ decoder: AR });
    expect(steps).toHaveLength(tokenIds.length);
    expect((tokenIds.length - 1) / (steps.length - 1)).toBe(1);
  });

  it('ends at an end token wherever it stands in an accepted run: nothing after it is sent or counted', async () => {
    const { tokenIds } = await collect({});
    for (const [index, stopId] of tokenIds.entries()) {
      if (tokenIds.indexOf(stopId) < index) continue;
      for (const decoder of [AR, tidar(2), tidar(4), tidar(8)]) {
        const cut = await collect({ decoder, stopTokenIds: [stopId] });
        expect(cut.tokenIds).toEqual(tokenIds.slice(0, index + 1));
        expect(cut.end.finishReason).toBe('stop');
        const numAccepted = cut.steps.reduce((sum, step) => sum + step.numAccepted, 0);
        expect(numAccepted).toBe(cut.tokenIds.length - 1);
      }
    }
  });

  it('decides an end token without another pass', async () => {
    const { steps, tokenIds } = await collect({ decoder: AR });
    const index = 5;
    const cut = await collect({ decoder: AR, stopTokenIds: [tokenIds[index]!] });
    expect(cut.steps).toHaveLength(steps.slice(0, index + 1).length);
  });

  it('stops at the model’s own end tokens without being told', async () => {
    const { tokenIds } = await collect({});
    const config = { ...session.config, eosTokenIds: [tokenIds[6]!] };
    const { tokenIds: cut, end } = await collect({}, withConfig(session, config));
    expect(cut).toEqual(tokenIds.slice(0, tokenIds.indexOf(tokenIds[6]!) + 1));
    expect(end.finishReason).toBe('stop');
  });

  it('has exactly max tokens at most, whatever the accepted runs; an end token there is a stop', async () => {
    const { tokenIds } = await collect({});
    for (let maxTokens = 1; maxTokens <= 12; maxTokens++) {
      for (const decoder of [AR, tidar(4), tidar(16), tidar(4, 0.999)]) {
        const cut = await collect({ maxTokens, decoder });
        expect(cut.tokenIds).toEqual(tokenIds.slice(0, maxTokens));
        expect(cut.end.finishReason).toBe('length');
      }
    }
    const last = await collect({ maxTokens: 5, stopTokenIds: [tokenIds[4]!] });
    expect(last.end.finishReason).toBe('stop');
  });

  it('does not draft what can’t be decided any more', async () => {
    const { steps } = await collect({ decoder: tidar(8), maxTokens: 3 });
    for (const { numDrafted } of steps) expect(numDrafted).toBeLessThanOrEqual(2);
    expect((await collect({ decoder: tidar(8), maxTokens: 1 })).steps[0]!.numRows).toBe(PROMPT.length);
  });
});

describe('a resumed generation', () => {
  it('goes on as if unbroken, from any token, with any decoder', async () => {
    for (const sampling of [GREEDY, SAMPLED]) {
      const { tokenIds } = await collect({ sampling });
      for (let numTokens = 0; numTokens < 24; numTokens++) {
        for (const decoder of [AR, tidar(3), tidar(8)]) {
          const rest = await collect({ sampling, decoder, committedIds: tokenIds.slice(0, numTokens) });
          expect([...tokenIds.slice(0, numTokens), ...rest.tokenIds]).toEqual(tokenIds);
        }
      }
    }
  });

  it('that was finished ends at once, without a forward pass', async () => {
    const { tokenIds } = await collect({});
    const full = await collect({ committedIds: tokenIds });
    expect(full.end).toEqual({ type: 'end', finishReason: 'length', numForwardPasses: 0 });
    const stopped = await collect({ committedIds: tokenIds.slice(0, 3), stopTokenIds: [tokenIds[2]!] });
    expect(stopped.end).toEqual({ type: 'end', finishReason: 'stop', numForwardPasses: 0 });
  });
});

describe('the edge of the context', () => {
  it('is reached exactly: every position of the model can be used, with any decoder', async () => {
    const { maxPositions } = session.config;
    const promptIds = Array.from({ length: maxPositions - 12 }, (_, index) => 3 + (index % 40));
    const expected = await collect({ promptIds, maxTokens: 12, decoder: AR });
    expect(expected.tokenIds).toHaveLength(12);
    for (const k of [1, 4, 16, 64]) {
      const { tokenIds } = await collect({ promptIds, maxTokens: 12, decoder: tidar(k) });
      expect(tokenIds).toEqual(expected.tokenIds);
    }
    const shorter = promptIds.slice(8);
    expect(
      (await collect({ promptIds: shorter, maxTokens: 12, decoder: tidar(4, 0.5) })).tokenIds,
    ).toHaveLength(12);
  });

  it.each([
    { decoder: AR, numTooMany: 1 },
    { decoder: tidar(4), numTooMany: 1 },
    { decoder: tidar(4, 0.5), numTooMany: -7 },
  ])('is not passed: refused with the numbers ($decoder.type)', async ({ decoder, numTooMany }) => {
    const maxTokens = session.config.maxPositions - PROMPT.length + numTooMany;
    await expect(collect({ decoder, maxTokens })).rejects.toMatchObject({
      code: 'context_length_exceeded',
      message: expect.stringContaining(`${session.config.maxPositions} tokens`),
    });
  });
});

describe('what can’t be generated is refused by name', () => {
  it.each<{ changes: Partial<GenerateOptions>; param: string }>([
    { changes: { promptIds: [] }, param: 'prompt' },
    { changes: { promptIds: [48] }, param: 'prompt' },
    { changes: { promptIds: [-1] }, param: 'prompt' },
    { changes: { promptIds: [1.5] }, param: 'prompt' },
    { changes: { committedIds: [48] }, param: 'prompt' },
    { changes: { maxTokens: 0 }, param: 'max_tokens' },
    { changes: { maxTokens: 1.5 }, param: 'max_tokens' },
    { changes: { decoder: tidar(0) }, param: 'draft_length' },
    { changes: { decoder: tidar(65) }, param: 'draft_length' },
    { changes: { decoder: tidar(2.5) }, param: 'draft_length' },
    { changes: { decoder: tidar(4, 1.1) }, param: 'beta' },
    { changes: { decoder: tidar(4, NaN) }, param: 'beta' },
    { changes: { sampling: { ...GREEDY, temperature: -1 } }, param: 'temperature' },
    { changes: { sampling: { ...GREEDY, temperature: NaN } }, param: 'temperature' },
    { changes: { sampling: { ...GREEDY, topK: -1 } }, param: 'top_k' },
    { changes: { sampling: { ...GREEDY, topP: 0 } }, param: 'top_p' },
    { changes: { sampling: { ...GREEDY, minP: 1 } }, param: 'min_p' },
    { changes: { sampling: { ...GREEDY, seed: 1n << 64n } }, param: 'seed' },
  ])('$param in $changes', async ({ changes, param }) => {
    await expect(collect(changes)).rejects.toMatchObject({ code: 'invalid_request', param });
  });

  it('TiDAR decoding of a model without a mask token', async () => {
    const { tidar: _none, ...config } = session.config;
    await expect(collect({}, withConfig(session, config))).rejects.toThrowError('use the decoder "ar"');
    const plain = await collect({ decoder: AR }, withConfig(session, config));
    expect(plain.tokenIds).toEqual((await collect({})).tokenIds);
  });
});

describe('a cancelled generation', () => {
  it('stops before the next forward pass with the error `cancelled`, and frees its cache', async () => {
    const controller = new AbortController();
    const recorded = recording(session);
    const events = generate(soloEngine(recorded.session), options(), { signal: controller.signal });
    await events.next();
    controller.abort();
    const error = await events.next().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TidarError);
    expect(error).toMatchObject({ code: 'cancelled' });
    expect(recorded.runs).toHaveLength(1);
  });

  it('frees its slot when the reader leaves', async () => {
    const engine = soloEngine(session);
    for await (const _event of generate(engine, options())) {
      expect(engine.numActive).toBe(1);
      break;
    }
    expect(engine.numActive).toBe(0);
    engine.checkIntegrity();
    engine.dispose();
  });
});
