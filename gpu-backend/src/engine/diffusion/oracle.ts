import type { ModelSession } from '../../device/device.ts';
import { runFromZero } from '../oracle.ts';
import { logSumExp } from '../sampling/logprobs.ts';
import { wholeRow } from '../sampling/row.ts';
import type { Row } from '../sampling/settings.ts';
import { TokenDrawer } from '../sampling/token-drawer.ts';
import type { SequenceOptions } from '../sequence.ts';
import type { DiffusionOptions } from './options.ts';

/**
 * The slow and obvious block diffusion, kept for the tests: no cache, every pass computes everything from position 0,
 * and every draw is made by a drawer of its own. It shares the device and the sampler with the engine, nothing else.
 */
export interface OracleText {
  readonly tokenIds: number[];
  readonly numPasses: number;
}

interface OracleRow {
  readonly tokenId: number;
  readonly position: number;
  readonly isBlock: boolean;
}

export async function diffusionOracle(session: ModelSession, options: SequenceOptions): Promise<OracleText> {
  const { diffusion, promptIds, maxTokens, stopTokenIds } = options;
  if (diffusion === undefined) throw new RangeError('not a text of block diffusion');
  const text = [...promptIds];
  let numPasses = 0;
  for (;;) {
    const block: (number | undefined)[] = Array.from({ length: diffusion.blockLength }, () => undefined);
    while (block.includes(undefined)) {
      await onePass(session, options, diffusion, text, block);
      numPasses += 1;
      const numLeading = block.includes(undefined) ? block.indexOf(undefined) : block.length;
      const leading = block.slice(0, numLeading).map((tokenId) => tokenId ?? -1);
      const completion = [...text.slice(promptIds.length), ...leading].slice(0, maxTokens);
      const end = completion.findIndex((tokenId) => stopTokenIds.has(tokenId));
      if (end >= 0) return { tokenIds: completion.slice(0, end + 1), numPasses };
      if (completion.length === maxTokens) return { tokenIds: completion, numPasses };
    }
    text.push(...block.map((tokenId) => tokenId ?? -1));
  }
}

/** Turns some masks of the block into tokens, in place. */
async function onePass(
  session: ModelSession,
  options: SequenceOptions,
  diffusion: DiffusionOptions,
  text: readonly number[],
  block: (number | undefined)[],
): Promise<void> {
  const mask = session.config.tidar?.maskTokenId ?? -1;
  const rows: OracleRow[] = [
    ...text.map((tokenId, position) => ({ tokenId, position, isBlock: false })),
    ...block.map((tokenId = mask, at) => ({ tokenId, position: text.length + at, isBlock: true })),
  ];
  const sees = (row: OracleRow, other: OracleRow): boolean =>
    other.isBlock ? row.isBlock : row.isBlock || other.position <= row.position;
  const logits = await runFromZero(session, rows, sees);

  const end = block.findIndex((tokenId) => tokenId !== undefined && options.stopTokenIds.has(tokenId));
  const open = [...block.keys()].filter((at) => block[at] === undefined && (end < 0 || at < end));
  const rowOf = (at: number): Row => logits[text.length + at] ?? new Float32Array();
  const guess = (at: number): { at: number; tokenId: number; probability: number } => {
    const row = rowOf(at);
    const tokenId = drawAt(session, options, row, text, block, at);
    return { at, tokenId, probability: Math.exp((row[tokenId] ?? 0) - logSumExp(row)) };
  };

  if (diffusion.strategy === 'left-to-right') {
    for (const at of open.slice(0, diffusion.tokensPerPass)) {
      block[at] = guess(at).tokenId;
      if (options.stopTokenIds.has(block[at])) return;
    }
    return;
  }
  const guesses = open.map(guess).sort((a, b) => b.probability - a.probability || a.at - b.at);
  const chosen =
    diffusion.strategy === 'threshold'
      ? guesses.filter(({ probability }, rank) => rank === 0 || probability >= diffusion.threshold)
      : guesses.slice(0, diffusion.tokensPerPass);
  for (const { at, tokenId } of chosen) block[at] = tokenId;
}

/** Processors see the text, whatever is known of the block, and where the token would stand. */
function drawAt(
  session: ModelSession,
  options: SequenceOptions,
  row: Row,
  text: readonly number[],
  block: readonly (number | undefined)[],
  at: number,
): number {
  const { promptIds, sampling, choice = 0, stopTokenIds: endTokenIds } = options;
  const known = block.filter((tokenId) => tokenId !== undefined);
  const committedIds = [...text.slice(promptIds.length), ...known];
  const { vocabSize } = session.config;
  const drawer = new TokenDrawer({ sampling, choice, vocabSize, promptIds, committedIds, endTokenIds });
  return drawer.draw(wholeRow(row), text.length + at, text.length + at - promptIds.length).best;
}
