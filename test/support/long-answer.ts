import type { PassTrace } from '@tidar/shared/trace.ts';
import type { Script } from './scripted-backend.ts';

const TOKENS_PER_PASS = 5;
const NUM_MASKS = 5;

export const WRONG_DRAFT = ' wrong';

/** A dense pass as the protocol tells it: its drafts were right but for the last, in whose place another token came. */
function traceAt(prefix: number, tokens: readonly string[]): PassTrace {
  const numDraftRows = tokens.length + 1;
  const blocks = Array.from({ length: numDraftRows }, (_, block) => block + 1);
  const firstRow = (block: number): number => numDraftRows + block * NUM_MASKS;
  const rows = [
    ...blocks.map((depth, row) => ({
      ...{ kind: row === 0 ? ('decided' as const) : ('draft' as const), at: row, depth, start: 0, end: 0 },
    })),
    ...blocks.flatMap((accepted, block) =>
      Array.from({ length: NUM_MASKS }, (_, mask) => {
        const start = firstRow(block);
        return { kind: 'mask' as const, at: accepted + mask, depth: accepted, start, end: start + NUM_MASKS };
      }),
    ),
  ];
  const isRight = (at: number): boolean => at + 1 < tokens.length;
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
    outcomes: blocks.map((accepted, block) => ({ accepted, masks: NUM_MASKS, first_row: firstRow(block) })),
    outcome: tokens.length - 1,
    drafts: tokens.map((token, at) => ({
      token_id: 7,
      token: isRight(at) ? token : WRONG_DRAFT,
      logprob: -0.1,
      row: at + 1,
      accepted: isRight(at),
    })),
    tokens: tokens.map((token, at) => ({
      token_id: 7,
      token,
      ar_logprob: -0.01 * at,
      draft_logprob: -0.1,
      draft: isRight(at) ? 'accepted' : 'rejected',
    })),
    predicted: [],
  };
}

/** A scripted answer of so many tokens, five a pass, each with its whole trace; after each pass it waits. */
export function longAnswer(
  numTokens: number,
  wait: () => Promise<unknown> | undefined = () => undefined,
): { script: Script; text: string } {
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
      await wait();
    }
    await stage.end(numTokens);
  };
  return { script, text: words.join('') };
}
