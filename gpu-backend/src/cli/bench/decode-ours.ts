import type { Decoder } from '../../decode/decoder.ts';
import { sequenceOptions } from '../../decode/generate.ts';
import { planRule } from '../../decode/plan-rules.ts';
import type { Active } from '../../engine/active.ts';
import type { Engine } from '../../engine/engine.ts';
import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import type { DecodeOurs } from './peers.ts';

/** Greedy decoding by the engine: sequences join as others end, so that a batch stays full. */
export function engineDecoder(engine: Engine, maxTokens: number): DecodeOurs<Decoder> {
  return async (prompts, batch, decoder) => {
    const tokens: number[][] = prompts.map(() => []);
    let next = 0;
    const running = new Map<Active, number>();
    const startedAt = performance.now();
    for (;;) {
      for (; running.size < batch && next < prompts.length; next++)
        running.set(open(engine, prompts[next] ?? [], maxTokens, decoder), next);
      if (running.size === 0) return { tokens, ms: performance.now() - startedAt };
      for (const { active, result } of await engine.step(new Set(running.keys()))) {
        if (result instanceof Error) throw result;
        tokens[running.get(active) ?? -1]?.push(...result.tokenIds);
        if (active.sequence.finishReason === undefined) continue;
        engine.close(active);
        running.delete(active);
      }
    }
  };
}

function open(engine: Engine, promptIds: readonly number[], maxTokens: number, decoder: Decoder): Active {
  const options = { promptIds, maxTokens, decoder, sampling: PLAIN_SAMPLING, stopTokenIds: [] };
  const rule = planRule(decoder, engine.config.maxPositions);
  const active = engine.open(sequenceOptions(options, engine.config), { rule });
  if (active === undefined) throw new RangeError('the engine has no memory left for this batch');
  return active;
}
