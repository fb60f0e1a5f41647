import { TidarError } from '@tidar/shared/errors.ts';
import { invalidFile } from './json-file.ts';

/** How rotary angles are stretched beyond the positions that a model was first trained on. */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly originalMaxPositions: number;
      /** Multiplies cos and sin, and so both queries and keys. */
      readonly attentionFactor: number;
      /** Whether the ramp between fast and slow dimensions ends at whole dimensions. */
      readonly truncate: boolean;
    };

/** Ministral 3 multiplies a rotated query by 1 + beta · ln(1 + floor(position / originalMaxPositions)). */
export interface QueryScaling {
  readonly beta: number;
  readonly originalMaxPositions: number;
}

export interface RopeConfig {
  readonly theta: number;
  readonly scaling?: RopeScaling;
  readonly queryScaling?: QueryScaling;
}

const DEFAULT_THETA = 10000;
const TYPES = ['default', 'linear', 'dynamic', 'llama3', 'yarn'] as const;
type RopeType = (typeof TYPES)[number];

/** What each type may say beside its name, the base and the share of a head that rotates. */
const FIELDS: Readonly<Record<RopeType, readonly string[]>> = {
  default: [],
  linear: ['factor'],
  dynamic: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
  yarn: [
    'factor',
    'original_max_position_embeddings',
    'attention_factor',
    'beta_fast',
    'beta_slow',
    'mscale',
    'mscale_all_dim',
    'truncate',
  ],
};
const COMMON_FIELDS = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor'];
const QUERY_SCALING_FIELD = 'llama_4_scaling_beta';

type Fields = Readonly<Record<string, unknown>>;

/** What is being read: its values, what a sentence calls it, and what the rest of config.json says. */
interface Section {
  readonly fileName: string;
  readonly field: string;
  readonly values: Fields;
  readonly maxPositions: number;
}

export interface RopeSource {
  readonly fileName: string;
  /** max_position_embeddings, or its default. */
  readonly maxPositions: number;
  /** Whether the architecture has the scaled queries of Ministral 3. */
  readonly scalesQueries: boolean;
}

/**
 * Reads the rotary fields of a config.json: `rope_parameters`, as transformers 5 writes them, or `rope_theta` and
 * `rope_scaling`, as version 4 did. Refuses by name what is not implemented.
 *
 * Where YaRN's factor differs from max_position_embeddings / original_max_position_embeddings, the factor is taken, as
 * vLLM, llama.cpp and transformers 5 do; some releases of transformers 4 took the ratio.
 */
export function parseRope(json: Fields, source: RopeSource): RopeConfig {
  const section = sectionOf(json, source);
  const theta = thetaOf(json, source.fileName) ?? DEFAULT_THETA;
  const type = typeOf(section);
  refuseUnknownFields(section, type, source.scalesQueries);
  const scaling = scalingOf(section, type);
  const queryScaling = source.scalesQueries ? queryScalingOf(section) : undefined;
  return { theta, ...(scaling ? { scaling } : {}), ...(queryScaling ? { queryScaling } : {}) };
}

/** The longest context that a config's positions reach: YaRN may be added to a folder by its factor alone. */
export function ropePositions({ scaling }: RopeConfig, maxPositions: number): number {
  if (scaling?.type !== 'yarn') return maxPositions;
  return Math.max(maxPositions, Math.floor(scaling.factor * scaling.originalMaxPositions));
}

function sectionOf(json: Fields, { fileName, maxPositions }: RopeSource): Section {
  // As transformers 5 has it, the older field wins where there are both.
  const field = isPresent(json['rope_scaling']) ? 'rope_scaling' : 'rope_parameters';
  return { fileName, field, values: fieldsOf(json, field, fileName), maxPositions };
}

function fieldsOf(json: Fields, field: string, fileName: string): Fields {
  const values = json[field] ?? {};
  if (typeof values === 'object' && !Array.isArray(values)) return values as Fields;
  throw invalidFile(fileName, `${field} is ${JSON.stringify(values)}; expected an object.`);
}

const isPresent = (value: unknown): boolean => value !== undefined && value !== null;

/** The base stands with the other rotary fields or beside them. */
function thetaOf(json: Fields, fileName: string): number | undefined {
  for (const field of ['rope_scaling', 'rope_parameters', ''] as const) {
    const values = field === '' ? json : fieldsOf(json, field, fileName);
    const theta = number({ fileName, field, values, maxPositions: 0 }, 'rope_theta');
    if (theta !== undefined) return theta;
  }
  return undefined;
}

function typeOf(section: Section): RopeType {
  const key = isPresent(section.values['rope_type']) ? 'rope_type' : 'type';
  const found = section.values[key] ?? 'default';
  const type = TYPES.find((each) => each === found);
  return type ?? refuse(section, key, `rope_type ${TYPES.map((each) => `"${each}"`).join(', ')}`);
}

/** A rope setting that isn't known may scale the angles: only what is implemented is let through. */
function refuseUnknownFields(section: Section, type: RopeType, scalesQueries: boolean): void {
  const known = [...COMMON_FIELDS, ...FIELDS[type], ...(scalesQueries ? [QUERY_SCALING_FIELD] : [])];
  for (const [key, value] of Object.entries(section.values)) {
    if (key === 'partial_rotary_factor' && isPresent(value) && value !== 1) {
      refuse(section, key, '1 (the whole head)');
    }
    if (!known.includes(key) && isPresent(value) && value !== false) refuse(section, key, known.join(', '));
  }
}

function refuse({ fileName, field, values }: Section, key: string, supported: string): never {
  const found = JSON.stringify(values[key]);
  throw new TidarError(
    'unsupported_model',
    `${fileName}: ${field}.${key} is ${found}, which is not implemented; supported: ${supported}.`,
  );
}

function scalingOf(section: Section, type: RopeType): RopeScaling | undefined {
  // Dynamic scaling begins beyond max_position_embeddings, and no context here goes beyond it.
  if (type === 'default' || type === 'dynamic') return undefined;
  const factor = required(section, 'factor');
  if (type === 'linear') return { type, factor };
  return type === 'llama3' ? llama3Of(section, factor) : yarnOf(section, factor);
}

function llama3Of(section: Section, factor: number): RopeScaling {
  return {
    type: 'llama3',
    factor,
    lowFreqFactor: required(section, 'low_freq_factor'),
    highFreqFactor: required(section, 'high_freq_factor'),
    originalMaxPositions: required(section, 'original_max_position_embeddings'),
  };
}

/** The paper's "mscale": attention grows a little sharper with the factor. */
function magnitude(factor: number, mscale: number): number {
  return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
}

function yarnOf(section: Section, factor: number): RopeScaling {
  const mscale = number(section, 'mscale') ?? 0;
  const mscaleAllDim = number(section, 'mscale_all_dim') ?? 0;
  const byScales =
    mscale > 0 && mscaleAllDim > 0
      ? magnitude(factor, mscale) / magnitude(factor, mscaleAllDim)
      : magnitude(factor, 1);
  return {
    type: 'yarn',
    factor,
    betaFast: number(section, 'beta_fast') ?? 32,
    betaSlow: number(section, 'beta_slow') ?? 1,
    originalMaxPositions: number(section, 'original_max_position_embeddings') ?? section.maxPositions,
    attentionFactor: number(section, 'attention_factor') ?? byScales,
    truncate: section.values['truncate'] !== false,
  };
}

function queryScalingOf(section: Section): QueryScaling | undefined {
  const beta = number(section, QUERY_SCALING_FIELD);
  if (beta === undefined || beta === 0) return undefined;
  return { beta, originalMaxPositions: required(section, 'original_max_position_embeddings') };
}

function required(section: Section, key: string): number {
  const value = number(section, key);
  if (value !== undefined) return value;
  throw invalidFile(section.fileName, `${section.field}.${key} is missing.`);
}

/** Magnitudes may be 0, which is none; all else is positive. */
const MAY_BE_ZERO = ['mscale', 'mscale_all_dim', QUERY_SCALING_FIELD];

function number({ fileName, field, values }: Section, key: string): number | undefined {
  const value = values[key];
  if (!isPresent(value)) return undefined;
  const isZero = value === 0 && MAY_BE_ZERO.includes(key);
  if (isZero || (typeof value === 'number' && Number.isFinite(value) && value > 0)) return value;
  const name = field === '' ? key : `${field}.${key}`;
  throw invalidFile(fileName, `${name} is ${JSON.stringify(value)}; expected a positive number.`);
}
