import type { PassTrace } from '@tidar/shared/trace.ts';
import type { JSX } from 'preact';
import { percent, visible } from './tokens.ts';

/** How far the explanation has come; each stage shows a little more. */
export const STAGES = ['known', 'rows', 'mask', 'verify', 'commit'] as const;
export type Stage = (typeof STAGES)[number];

const ROW_HEIGHT = 19;
const LABEL_WIDTH = 128;
const POSITION_WIDTH = 44;
const PREFIX_WIDTH = 58;
const NOTE_WIDTH = 210;
const TOP = 30;
const MAX_LABEL = 13;

interface DiagramProps {
  readonly trace: PassTrace;
  /** Of the token that the pass before decided. */
  readonly decidedText: string;
  readonly stage: Stage;
}

/** The rows of one pass, where each stands and what it sees, as the engine laid them out. */
export function Diagram({ trace, decidedText, stage }: DiagramProps): JSX.Element {
  const { kinds } = trace.rows;
  const cell = kinds.length > 40 ? 10 : 15;
  const numRows = stage === 'known' ? Math.min(1, kinds.length) : kinds.length;
  const left = LABEL_WIDTH + POSITION_WIDTH;
  const matrixWidth = PREFIX_WIDTH + numRows * cell;
  const width = left + matrixWidth + NOTE_WIDTH;
  const height = TOP + numRows * ROW_HEIGHT + 6;
  const labels = labelsOf(trace, decidedText);
  return (
    <svg
      class="diagram"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={summaryOf(trace)}
    >
      <text x={LABEL_WIDTH + POSITION_WIDTH - 8} y={TOP - 10} class="head" text-anchor="end">
        at
      </text>
      <text x={left} y={TOP - 10} class="head">
        {trace.prefix} before
      </text>
      {kinds.slice(0, numRows).map((kind, row) => (
        <g key={row} class={rowClass(trace, row, stage)} transform={`translate(0 ${TOP + row * ROW_HEIGHT})`}>
          <rect class={`tick ${kind}`} x={0} y={2} width={4} height={ROW_HEIGHT - 4} rx={2} />
          <text x={12} y={14} class="label">
            {labels[row]}
          </text>
          <text x={LABEL_WIDTH + POSITION_WIDTH - 8} y={14} class="position" text-anchor="end">
            {trace.rows.positions[row]}
          </text>
          {stage !== 'known' && stage !== 'rows' && <Seen trace={trace} row={row} left={left} cell={cell} />}
          <text x={left + matrixWidth + 10} y={14} class="note">
            {noteOf(trace, row, stage)}
          </text>
        </g>
      ))}
      {stage !== 'known' &&
        kinds.map((kind, column) => (
          <rect
            key={column}
            class={`tick ${kind}`}
            x={left + PREFIX_WIDTH + column * cell + 2}
            y={TOP - 8}
            width={cell - 4}
            height={4}
            rx={2}
          />
        ))}
    </svg>
  );
}

interface SeenProps {
  readonly trace: PassTrace;
  readonly row: number;
  readonly left: number;
  readonly cell: number;
}

/** The columns that a row sees: the prefix, the first rows, and a span of its own. */
function Seen({ trace, row, left, cell }: SeenProps): JSX.Element {
  const { kinds, depths, block_starts: starts, block_ends: ends } = trace.rows;
  const [depth = 0, start = 0, end = 0, kind = 'mask'] = [depths[row], starts[row], ends[row], kinds[row]];
  const bar = (from: number, to: number): JSX.Element | null =>
    to <= from ? null : (
      <rect
        class={`cell ${kind}`}
        x={left + PREFIX_WIDTH + from * cell + 1}
        y={2}
        width={(to - from) * cell - 2}
        height={ROW_HEIGHT - 4}
        rx={3}
      />
    );
  return (
    <>
      <rect class="cell prefix" x={left} y={2} width={PREFIX_WIDTH - 3} height={ROW_HEIGHT - 4} rx={3} />
      {bar(0, depth)}
      {bar(start, end)}
    </>
  );
}

function labelsOf(trace: PassTrace, decidedText: string): string[] {
  const { kinds } = trace.rows;
  const drafts = new Map(trace.drafts.map(({ row, token }) => [row, token]));
  const corrections = new Map(
    trace.outcomes.map(({ first_row: row, correction }) => [row, correction?.token]),
  );
  const fixed = new Map(trace.tokens.map(({ token }, at) => [at, token]));
  return kinds.map((kind, row) => {
    if (kind === 'mask') return '▒ mask';
    if (kind === 'decided') return short(decidedText);
    if (kind === 'draft') return short(drafts.get(row) ?? '');
    if (kind === 'correction') return short(corrections.get(row) ?? '');
    return short(fixed.get(row) ?? 'token');
  });
}

function short(text: string): string {
  const shown = visible(text);
  return shown.length > MAX_LABEL ? `${shown.slice(0, MAX_LABEL - 1)}…` : shown;
}

/** Which outcome's block a row is in; -1: none. */
function outcomeOf(trace: PassTrace, row: number): number {
  return trace.outcomes.findIndex(({ first_row: first, masks, correction }) => {
    const end = first + masks + (correction === undefined ? 0 : 1);
    return row >= first && row < end;
  });
}

function rowClass(trace: PassTrace, row: number, stage: Stage): string {
  if (stage !== 'verify' && stage !== 'commit') return 'row-line';
  const isCausal =
    row < trace.rows.kinds.length && ['decided', 'draft'].includes(trace.rows.kinds[row] ?? '');
  if (isCausal) return row < trace.tokens.length ? 'row-line kept' : 'row-line lost';
  if (trace.outcomes.length === 0) return 'row-line';
  if (stage === 'verify') return 'row-line dim';
  return outcomeOf(trace, row) === trace.outcome ? 'row-line kept' : 'row-line lost';
}

function noteOf(trace: PassTrace, row: number, stage: Stage): string {
  if (stage === 'verify' && row < trace.tokens.length) {
    const token = trace.tokens[row];
    if (token === undefined || trace.rows.kinds[row] === 'mask') return '';
    const says = `→ ${short(token.token)} (${percent(token.ar_logprob)})`;
    if (token.draft === 'accepted') return `${says} ✓ as drafted`;
    return token.draft === 'rejected' ? `${says} ✗ not the draft` : says;
  }
  if (stage !== 'commit') return '';
  const predicted = trace.predicted.find((one) => one.row === row);
  if (predicted !== undefined) return `→ ${short(predicted.token)} (${percent(predicted.logprob)})`;
  return row < trace.tokens.length && trace.outcome !== null && outcomeOf(trace, row) < 0
    ? 'stays in the cache'
    : '';
}

/** The same in words. */
export function summaryOf({ rows, prefix, tokens, outcomes }: PassTrace): string {
  const count = (kind: string): number => rows.kinds.filter((one) => one === kind).length;
  return [
    `${rows.kinds.length} rows after ${prefix} tokens:`,
    `${count('decided')} decided, ${count('draft')} drafts, ${count('correction')} corrections, ${count('mask')} masks in ${outcomes.length} blocks.`,
    `The pass decided ${tokens.length} tokens.`,
  ].join(' ');
}
