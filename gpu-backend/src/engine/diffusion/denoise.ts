import type { StepMember } from '../prepare.ts';
import type { RowReader } from '../row-reader.ts';
import { tokenLogprobs } from '../sampling/logprobs.ts';
import type { Sequence } from '../sequence.ts';
import type { StepResult } from '../step-result.ts';
import { traceDenoising } from '../trace.ts';
import type { Block } from './block.ts';
import type { DiffusionOptions } from './options.ts';

/** What a mask's row says of its own position. */
interface Guess {
  readonly offset: number;
  readonly tokenId: number;
  /** By the model's raw logits: how sure it is of the token that was drawn. */
  readonly logprob: number;
}

interface Denoising {
  readonly sequence: Sequence;
  readonly block: Block;
  readonly diffusion: DiffusionOptions;
  readonly rows: RowReader;
  readonly firstRow: number;
}

/** One pass over the block under way: some of its masks become tokens, and its leading tokens are decided. */
export function denoise(member: StepMember, rows: RowReader): StepResult {
  const { sequence, layout } = member;
  const { block, options } = sequence;
  const [firstRow = -1] = layout.outcomeRows;
  if (block === undefined || options.diffusion === undefined) throw new RangeError('no block is under way');
  const numDrafted = block.numMasks;
  const before = [...block.tokenIds];
  const pass = { sequence, block, diffusion: options.diffusion, rows, firstRow };
  if (options.diffusion.strategy === 'left-to-right') fixLeftmost(pass, options.diffusion.tokensPerPass);
  else for (const guess of mostProbable(allGuesses(pass), options.diffusion)) fix(pass, guess);
  const numAccepted = numDrafted - block.numMasks;
  const decided = sequence.commitBlock();
  const trace = options.isTraced ? traceDenoising(member, { block, before }, decided.logprobs) : undefined;
  return { ...decided, numRows: layout.numRows, numDrafted, numAccepted, outcome: -1, trace };
}

/** In order, so that each is drawn knowing all before it; how probable it is does not matter. */
function fixLeftmost(pass: Denoising, numTokens: number): void {
  const { stopTokenIds } = pass.sequence.options;
  for (const offset of pass.block.openMasks(stopTokenIds).slice(0, numTokens)) {
    const tokenId = fix(pass, { offset, tokenId: draw(pass, offset) });
    if (stopTokenIds.has(tokenId)) return;
  }
}

function allGuesses(pass: Denoising): Guess[] {
  const { block, sequence, rows, firstRow } = pass;
  return block.openMasks(sequence.options.stopTokenIds).map((offset) => {
    const tokenId = draw(pass, offset);
    return { offset, tokenId, logprob: tokenLogprobs(rows.row(firstRow + offset), tokenId, 0).logprob };
  });
}

/** Of equals, the leftmost first. */
function mostProbable(guesses: readonly Guess[], options: DiffusionOptions): Guess[] {
  const sorted = guesses.toSorted((a, b) => b.logprob - a.logprob || a.offset - b.offset);
  if (options.strategy !== 'threshold') return sorted.slice(0, options.tokensPerPass);
  return sorted.filter(({ logprob }, rank) => rank === 0 || Math.exp(logprob) >= options.threshold);
}

/** What a mask's row says that stands there. */
function draw({ sequence, block, rows, firstRow }: Denoising, offset: number): number {
  const position = block.start + offset;
  const numTokensBefore = position - sequence.numPromptTokens;
  return sequence.drawer.draw(rows.row(firstRow + offset), position, numTokensBefore).best;
}

/** A token that was decided before, by the run that this one goes on from, is what it was. */
function fix(
  { sequence, block, rows, firstRow }: Denoising,
  { offset, tokenId: drawn }: Pick<Guess, 'offset' | 'tokenId'>,
): number {
  const { numLogprobs } = sequence;
  const tokenId = sequence.tokenIds[block.start + offset] ?? drawn;
  const row = rows.row(firstRow + offset);
  block.fix(
    offset,
    tokenId,
    numLogprobs === undefined ? undefined : tokenLogprobs(row, tokenId, numLogprobs),
  );
  sequence.drawer.push(tokenId);
  return tokenId;
}
