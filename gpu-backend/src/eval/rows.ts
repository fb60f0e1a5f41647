import type { Decoder } from '../decode/decoder.ts';

/** Whose weights decode: the model in question, or the baseline that was trained without masks. */
export const MODEL_KEYS = ['main', 'ar-only'] as const;
export type ModelKey = (typeof MODEL_KEYS)[number];

/** A row of the table: a model with a decoder. */
export interface Row {
  readonly id: string;
  readonly label: string;
  readonly model: ModelKey;
  readonly decoder: Decoder;
  /** Decodes more items than the table has, for the last line. */
  readonly isHeadline: boolean;
  /** The curve of pictures that it belongs to. */
  readonly family: string;
}

/** What all speeds are measured against. */
export const AR_ROW = 'ar';
export const AR_ONLY_ROW = 'ar-only';
/** TiDAR, as the last line tells it. */
export const HEADLINE_ROW = 'tidar-16';
const DRAFT_LENGTHS = [4, 8, 16];
const SPECULATIVE_LENGTH = 4;
const BETA_LENGTH = 16;
const BLOCK_LENGTH = 16;

/** Whether a row's text must be that of plain decoding, token for token. */
export function isLossless({ model, decoder }: Row): boolean {
  if (model !== 'main' || decoder.type === 'diffusion') return false;
  return decoder.type !== 'tidar' || decoder.beta === 1;
}

/** Whether a planner chooses what each pass holds. */
export function isPlanned({ decoder }: Row): boolean {
  return decoder.type === 'tidar' && decoder.plan === 'auto';
}

/** The rows of the table, in its order, for a model that was trained on blocks of `blockSize`. */
export function tableRows(blockSize: number): Row[] {
  return [
    row(
      AR_ONLY_ROW,
      'AR-only model',
      { type: 'ar' },
      { model: 'ar-only', isHeadline: true, family: 'AR-only' },
    ),
    row(AR_ROW, 'AR', { type: 'ar' }, { isHeadline: true, family: 'AR' }),
    row('speculative', `speculative, ${SPECULATIVE_LENGTH} drafts`, speculative(SPECULATIVE_LENGTH)),
    ...[1, 2, 4].map((tokensPerPass) =>
      row(`confidence-${tokensPerPass}`, `diffusion, confidence, ${tokensPerPass} a pass`, {
        type: 'diffusion',
        blockLength: BLOCK_LENGTH,
        strategy: 'confidence',
        tokensPerPass,
      }),
    ),
    ...[0.6, 0.7, 0.8, 0.9].map((threshold) =>
      row(`threshold-${threshold}`, `diffusion, threshold ${threshold}`, {
        type: 'diffusion',
        blockLength: BLOCK_LENGTH,
        strategy: 'threshold',
        threshold,
      }),
    ),
    row('left-to-right', 'diffusion, left to right, 1 a pass', {
      type: 'diffusion',
      blockLength: BLOCK_LENGTH,
      strategy: 'left-to-right',
      tokensPerPass: 1,
    }),
    row('two-pass', 'two-pass 16', { type: 'tidar', plan: 'two-pass', draftLength: 16, beta: 1 }),
    ...DRAFT_LENGTHS.map((length) => denseRow(length)),
    row('tidar-auto', 'TiDAR auto', { type: 'tidar', plan: 'auto', draftLength: blockSize, beta: 1 }),
    ...[0.5, 0].map((beta) =>
      row(
        `beta-${beta}`,
        `TiDAR ${BETA_LENGTH}, β ${beta}`,
        { type: 'tidar', plan: 'dense', draftLength: BETA_LENGTH, beta },
        { family: 'β' },
      ),
    ),
  ];
}

/** Rows that tell how block sizes of training go with draft lengths of decoding. */
export function comparisonRows(draftLengths: readonly number[]): Row[] {
  const ar = row(AR_ROW, 'AR', { type: 'ar' }, { isHeadline: true });
  return [ar, ...draftLengths.map((length) => ({ ...denseRow(length), isHeadline: true }))];
}

function denseRow(draftLength: number): Row {
  const decoder: Decoder = { type: 'tidar', plan: 'dense', draftLength, beta: 1 };
  const id = `tidar-${draftLength}`;
  return row(id, `TiDAR ${draftLength}`, decoder, { isHeadline: id === HEADLINE_ROW });
}

function speculative(draftLength: number): Decoder {
  return { type: 'speculative', draftLength };
}

function row(
  id: string,
  label: string,
  decoder: Decoder,
  more: Partial<Pick<Row, 'model' | 'isHeadline' | 'family'>> = {},
): Row {
  return { id, label, decoder, model: 'main', isHeadline: false, family: familyOf(decoder), ...more };
}

function familyOf(decoder: Decoder): string {
  if (decoder.type === 'diffusion') return `diffusion, ${decoder.strategy}`;
  if (decoder.type !== 'tidar') return decoder.type;
  return decoder.plan === 'dense' ? 'TiDAR' : `TiDAR, ${decoder.plan}`;
}
