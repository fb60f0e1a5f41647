import { MASK } from './diffusion/block.ts';
import type { Block } from './diffusion/block.ts';
import type { Layout } from './layout.ts';
import type { Plan } from './plan.ts';
import type { StepMember } from './prepare.ts';
import type { RowReader } from './row-reader.ts';
import { logSumExp, tokenLogprobs } from './sampling/logprobs.ts';
import type { TokenLogprob } from './sampling/logprobs.ts';
import type { LogitsRow } from './sampling/settings.ts';
import type { Draft } from './sequence.ts';

/** What a pass did, for one who wants to see it: plain data that crosses threads. Made only where it is asked for. */
export interface PassTrace {
  /** Tokens before row 0; the last `numPendingRows` of them were causal rows of this pass too. */
  readonly numPrefixTokens: number;
  readonly numPendingRows: number;
  readonly rows: TracedRows;
  readonly outcomes: readonly (Plan['outcomes'][number] & { readonly firstRow: number })[];
  /** -1: none of them happened. */
  readonly outcome: number;
  readonly drafts: readonly TracedDraft[];
  readonly tokens: readonly TracedDecision[];
  /** Of the outcome that happened, the next drafts; in block diffusion, what masks became. */
  readonly predicted: readonly (TracedToken & { readonly row: number })[];
}

export type RowKind = 'decided' | 'draft' | 'correction' | 'mask' | 'fixed';

/** The layout's own integers, [rows] each, counted from the decided token's row (in block diffusion, the block's first). */
export interface TracedRows {
  readonly kinds: readonly RowKind[];
  readonly tokenIds: readonly number[];
  readonly positions: readonly number[];
  readonly depths: readonly number[];
  readonly blockStarts: readonly number[];
  readonly blockEnds: readonly number[];
}

interface TracedToken {
  readonly tokenId: number;
  /** Undefined where nobody knows it. */
  readonly logprob: number | undefined;
}

interface TracedDraft extends TracedToken {
  /** -1: the plan has no row for it. */
  readonly row: number;
  readonly isAccepted: boolean;
}

interface TracedDecision {
  readonly tokenId: number;
  readonly arLogprob: number | undefined;
  readonly draftLogprob: number | undefined;
  readonly mixedLogprob: number | undefined;
  readonly draft: 'accepted' | 'rejected' | 'none';
}

/** What a row that drafted says of every token, kept after its pass. */
export interface DraftOdds {
  /** Of the layout that it was a row of. */
  readonly row: number;
  /** Undefined for a token that is not among the row's candidates. */
  readonly logprobOf: (tokenId: number) => number | undefined;
}

export function keepOdds(row: LogitsRow, index: number): DraftOdds {
  const { candidates } = row;
  const [ids, scores] =
    candidates === undefined
      ? [undefined, row.full().slice()]
      : [[...candidates.tokenIds], candidates.scores.slice()];
  const total = candidates?.logSumExp ?? logSumExp(scores);
  const logprobOf = (tokenId: number): number | undefined => {
    const score = scores[ids === undefined ? tokenId : ids.indexOf(tokenId)];
    return score === undefined ? undefined : score - total;
  };
  return { row: index, logprobOf };
}

/** What verification came to, before the sequence takes it. */
interface Settled {
  readonly tokenIds: readonly number[];
  readonly logprobs: readonly TokenLogprob[];
  readonly outcome: number;
  readonly nextDrafts: readonly Draft[];
}

export function traceStep(member: StepMember, rows: RowReader, settled: Settled): PassTrace {
  const { sequence, plan, layout } = member;
  const { firstDraftRow: first } = layout;
  const { outcome } = settled;
  const blockKinds = plan.outcomes.flatMap(({ correction, numMaskTokens }): RowKind[] => [
    ...(correction === undefined ? [] : (['correction'] as const)),
    ...Array<RowKind>(numMaskTokens).fill('mask'),
  ]);
  const causalKinds = Array.from({ length: plan.numDraftRows }, (_, row): RowKind =>
    row === 0 ? 'decided' : 'draft',
  );
  return {
    numPrefixTokens: layout.writeIndex + first,
    numPendingRows: first,
    rows: rowsOf(layout, first, [...causalKinds, ...blockKinds]),
    outcomes: plan.outcomes.map((one, at) => ({ ...one, firstRow: (layout.outcomeRows[at] ?? 0) - first })),
    outcome,
    drafts: sequence.drafts.map(({ tokenId, odds }, at) => ({
      tokenId,
      logprob: odds?.logprobOf(tokenId),
      row: at + 1 < plan.numDraftRows ? at + 1 : -1,
      isAccepted: at + 1 < plan.numDraftRows && isRight(settled.tokenIds, sequence.drafts, at),
    })),
    tokens: settled.tokenIds.map((_, at) => decision(member, rows, settled, at)),
    predicted:
      outcome < 0
        ? []
        : settled.nextDrafts.map(({ tokenId, odds }) => ({
            tokenId,
            logprob: odds?.logprobOf(tokenId),
            row: (odds?.row ?? 0) - first,
          })),
  };
}

/** The decided token is the draft of its place, and so were all before it. */
function isRight(tokenIds: readonly number[], drafts: readonly Draft[], at: number): boolean {
  return drafts.slice(0, at + 1).every(({ tokenId }, index) => tokenId === tokenIds[index]);
}

function decision(member: StepMember, rows: RowReader, settled: Settled, at: number): TracedDecision {
  const { sequence, plan, layout } = member;
  const { beta } = sequence.options;
  const tokenId = settled.tokenIds[at] ?? -1;
  const draft = at + 1 < plan.numDraftRows ? sequence.drafts[at] : undefined;
  const firstMask = layout.outcomeRows[at];
  const mixed =
    beta < 1 && firstMask !== undefined
      ? tokenLogprobs(rows.mixed(layout.firstDraftRow + at, firstMask, beta), tokenId, 0)
      : undefined;
  return {
    tokenId,
    arLogprob: settled.logprobs[at]?.logprob,
    draftLogprob: sequence.drafts[at]?.odds?.logprobOf(tokenId),
    mixedLogprob: mixed?.logprob,
    draft: draft === undefined ? 'none' : draft.tokenId === tokenId ? 'accepted' : 'rejected',
  };
}

/** Of a pass over a block: `before` is the block as it was, `tokens` what the pass decided. */
export function traceDenoising(
  { layout }: StepMember,
  { block, before }: { readonly block: Block; readonly before: readonly number[] },
  tokens: readonly TokenLogprob[],
): PassTrace {
  const first = layout.numPendingRows;
  const kinds = before.map((tokenId): RowKind => (tokenId === MASK ? 'mask' : 'fixed'));
  return {
    numPrefixTokens: layout.writeIndex + first,
    numPendingRows: first,
    rows: rowsOf(layout, first, kinds),
    outcomes: [],
    outcome: -1,
    drafts: [],
    tokens: tokens.map(({ tokenId, logprob }) => ({
      tokenId,
      arLogprob: undefined,
      draftLogprob: logprob,
      mixedLogprob: undefined,
      draft: 'none',
    })),
    predicted: block.tokenIds.flatMap((tokenId, row) =>
      before[row] === MASK && tokenId !== MASK
        ? [{ tokenId, row, logprob: block.logprobs[row]?.logprob }]
        : [],
    ),
  };
}

/** Rows from `first` on; those before are seen by all of them. */
function rowsOf(layout: Layout, first: number, kinds: readonly RowKind[]): TracedRows {
  const from = (column: Int32Array): number[] => [...column.subarray(first)];
  const counted = (column: Int32Array): number[] => from(column).map((row) => Math.max(0, row - first));
  return {
    kinds,
    tokenIds: from(layout.tokenIds),
    positions: from(layout.positions),
    depths: counted(layout.draftDepth),
    blockStarts: counted(layout.blockStart),
    blockEnds: counted(layout.blockEnd),
  };
}
