import type { PassTrace } from '@tidar/shared/trace.ts';
import type { Script } from './scripted-backend.ts';

const TOKENS_PER_PASS = 5;
const NUM_MASKS = 5;

/** A dense pass as the protocol tells it: all of its drafts but one were right. */
function traceAt(prefix: number, tokens: readonly string[]): PassTrace {
  const drafts = tokens.length;
  const blocks = Array.from({ length: drafts }, (_, block) => block + 1);
  const rows = [
    ...tokens.map((_, row) => ({
      kind: row === 0 ? ('decided' as const) : ('draft' as const),
      at: row,
      depth: row + 1,
      start: 0,
      end: 0,
    })),
    ...blocks.flatMap((accepted, block) =>
      Array.from({ length: NUM_MASKS }, (_, mask) => {
        const start = drafts + block * NUM_MASKS;
        return { kind: 'mask' as const, at: accepted + mask, depth: accepted, start, end: start + NUM_MASKS };
      }),
    ),
  ];
  return {
    prefix,
    pending_rows: 0,
    rows: {
      kinds: rows.map(({ kind }) => kind),
      token_ids: rows.map(() => 7),
      positions: rows.map(({ at }) => prefix + at),
      depths: rows.map(({ depth }) => depth),
      block_starts: rows.map(({ start }) => start),
      block_ends: rows.map(({ end }) => end),
    },
    outcomes: blocks.map((accepted, block) => ({
      accepted,
      masks: NUM_MASKS,
      first_row: drafts + block * NUM_MASKS,
    })),
    outcome: drafts - 1,
    drafts: tokens.map((token, at) => ({
      token_id: 7,
      token,
      logprob: -0.1,
      row: at + 1 < drafts ? at + 1 : null,
      accepted: at + 1 < drafts,
    })),
    tokens: tokens.map((token, at) => ({
      token_id: 7,
      token,
      ar_logprob: -0.01 * at,
      draft_logprob: -0.1,
      draft: at + 1 < drafts ? ('accepted' as const) : ('rejected' as const),
    })),
    predicted: [],
  };
}

/** A scripted answer of so many tokens, five a pass, each with its whole trace; `paceMs` between passes. */
export function longAnswer(numTokens: number, paceMs = 0): { script: Script; text: string } {
  const words = Array.from(
    { length: numTokens },
    (_, index) => `${index % 19 === 18 ? '\n' : ' '}word${index}`,
  );
  const script: Script = async (stage) => {
    await stage.start();
    for (let at = 0; at < numTokens; at += TOKENS_PER_PASS) {
      const tokens = words.slice(at, at + TOKENS_PER_PASS);
      const trace = [traceAt(3 + at, tokens)];
      const rows = trace[0]?.rows.kinds.length ?? 0;
      const numbers = { rows, drafted: tokens.length, accepted: tokens.length, milliseconds: 5 };
      const stats = { ...numbers, plan: 'dense', sequences: 1 };
      await stage.step(
        tokens.map(() => 7),
        tokens.join(''),
        { stats, trace },
      );
      if (paceMs > 0) await new Promise((resolve) => setTimeout(resolve, paceMs));
    }
    await stage.end(numTokens);
  };
  return { script, text: words.join('') };
}
