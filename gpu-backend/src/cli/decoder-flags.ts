import { MAX_BLOCK_LENGTH, MAX_DRAFT_LENGTH, SPECULATIVE_DRAFT_LENGTH } from '@tidar/shared/decoder.ts';
import { NAMED_PLAN_DRAFT_LENGTH, PLAN_NAMES, STRATEGIES } from '../decode/decoder.ts';
import type { Decoder, PlanName, Strategy } from '../decode/decoder.ts';
import type { ModelConfig } from '../model/config.ts';
import { FlagError, numberFlag, oneOf, stringFlag, wholeNumber } from './flags.ts';
import type { ParsedFlags } from './flags.ts';

const DEFAULT_THRESHOLD = 0.9;

export const DECODER_HELP = `What decodes the text; for ar, tidar and speculative it is the same text (docs/decoders.md):
  --decode NAME        ar, tidar, speculative or diffusion (tidar where the model can, else ar)
  --plan NAME          of tidar: ${PLAN_NAMES.join(', ')} (auto: by what rows cost here)
  --draft-length N     1 to ${MAX_DRAFT_LENGTH}; alone it means --plan dense, whose passes have N(1 + N) rows;
                       for auto the most (the model's block size; at most ${NAMED_PLAN_DRAFT_LENGTH} for the others)
  --measure            measures anew what passes cost here, which auto does once for a model folder
  --beta X             trust in the causal rows, 0 to 1; below 1 (dense only) the text is TiDAR's own (1)
  --draft-model PATH   of speculative: the folder of a small model with the same tokenizer
  --block-length N     of diffusion: masks of a block, 1 to ${MAX_BLOCK_LENGTH} (the model's block size)
  --strategy NAME      which of them become tokens in a pass: ${STRATEGIES.join(', ')} (confidence)
  --tokens-per-pass N  so many of them, by confidence or from left to right (1)
  --threshold X        all that are at least so probable, and one in any case (${DEFAULT_THRESHOLD})`;

const TEXT = { type: 'string' } as const;
const SWITCH = { type: 'boolean' } as const;
export const DECODER_OPTIONS = {
  ...{ decode: TEXT, plan: TEXT, 'draft-length': TEXT, measure: SWITCH, beta: TEXT },
  ...{ 'draft-model': TEXT, 'block-length': TEXT, strategy: TEXT, 'tokens-per-pass': TEXT, threshold: TEXT },
} as const;

const DECODERS = ['ar', 'tidar', 'speculative', 'diffusion'] as const;

/** Whose flags are whose. */
const FLAGS_OF: Readonly<Record<(typeof DECODERS)[number], readonly string[]>> = {
  ar: [],
  tidar: ['plan', 'draft-length', 'measure', 'beta'],
  speculative: ['draft-length', 'draft-model'],
  diffusion: ['block-length', 'strategy', 'tokens-per-pass', 'threshold'],
};

/** What decodes the text, as far as the command line says it; what is absent is as the model has it. */
export type DecoderFlags =
  | { readonly type: 'ar' }
  | {
      readonly type: 'tidar';
      readonly plan: PlanName;
      readonly draftLength: number | undefined;
      readonly beta: number;
      readonly measure: boolean;
      /** A model that cannot do it is to say so; else it decodes plainly. */
      readonly isRequired: boolean;
    }
  | { readonly type: 'speculative'; readonly draftModel: string; readonly draftLength: number | undefined }
  | {
      readonly type: 'diffusion';
      readonly blockLength: number | undefined;
      readonly strategy: Strategy;
      readonly tokensPerPass: number;
      readonly threshold: number;
    };

export function parseDecoder(flags: ParsedFlags): DecoderFlags {
  const named = oneOf(flags, 'decode', DECODERS);
  const isGiven = (flag: string): boolean => flags.values[flag] !== undefined;
  const type =
    named ?? (isGiven('draft-model') ? 'speculative' : isGiven('strategy') ? 'diffusion' : 'tidar');
  for (const [owner, own] of Object.entries(FLAGS_OF)) {
    const foreign = own.find((flag) => isGiven(flag) && !FLAGS_OF[type].includes(flag));
    if (foreign !== undefined) throw new FlagError(`--${foreign} needs --decode ${owner}.`);
  }
  if (type === 'ar') return { type };
  if (type === 'tidar') return parseTidar(flags, named !== undefined);
  return type === 'speculative' ? parseSpeculative(flags) : parseDiffusion(flags);
}

function parseTidar(flags: ParsedFlags, isNamed: boolean): DecoderFlags {
  const named = oneOf(flags, 'plan', PLAN_NAMES);
  const draftLength = parseDraftLength(flags);
  const isFraction = { expected: 'a number from 0 to 1', isWanted: (x: number) => x >= 0 && x <= 1 };
  const beta = numberFlag(flags, 'beta', 1, isFraction);
  const measure = flags.values['measure'] === true;
  const plan = named ?? (draftLength === undefined && beta === 1 ? 'auto' : 'dense');
  if (beta < 1 && plan !== 'dense')
    throw new FlagError(`--beta below 1 needs --plan dense; the plan ${plan} has no text of its own there.`);
  if (measure && plan !== 'auto') throw new FlagError('--measure is of use to --plan auto only.');
  const isRequired = isNamed || named !== undefined || draftLength !== undefined || beta < 1;
  return { type: 'tidar', plan, draftLength, beta, measure, isRequired };
}

function parseSpeculative(flags: ParsedFlags): DecoderFlags {
  const draftModel = stringFlag(flags, 'draft-model');
  if (draftModel === undefined) throw new FlagError('--decode speculative needs --draft-model.');
  return { type: 'speculative', draftModel, draftLength: parseDraftLength(flags) };
}

function parseDiffusion(flags: ParsedFlags): DecoderFlags {
  const isShare = { expected: 'more than 0 and at most 1', isWanted: (x: number) => x > 0 && x <= 1 };
  const length = wholeNumber(1, MAX_BLOCK_LENGTH);
  const tokensPerPass = numberFlag(flags, 'tokens-per-pass', undefined, length);
  const threshold = numberFlag(flags, 'threshold', undefined, isShare);
  const strategy =
    oneOf(flags, 'strategy', STRATEGIES) ?? (threshold === undefined ? 'confidence' : 'threshold');
  if (strategy === 'threshold' && tokensPerPass !== undefined)
    throw new FlagError('--tokens-per-pass is of use to --strategy confidence and left-to-right only.');
  if (strategy !== 'threshold' && threshold !== undefined)
    throw new FlagError('--threshold is of use to --strategy threshold only.');
  return {
    type: 'diffusion',
    blockLength: numberFlag(flags, 'block-length', undefined, length),
    strategy,
    tokensPerPass: tokensPerPass ?? 1,
    threshold: threshold ?? DEFAULT_THRESHOLD,
  };
}

function parseDraftLength(flags: ParsedFlags): number | undefined {
  return numberFlag(flags, 'draft-length', undefined, wholeNumber(1, MAX_DRAFT_LENGTH));
}

/** What the flags ask of this model. */
export function chooseDecoder(flags: DecoderFlags, { tidar }: ModelConfig): Decoder {
  const blockSize = tidar?.blockSize ?? 1;
  switch (flags.type) {
    case 'ar':
      return { type: 'ar' };
    case 'speculative':
      return { type: 'speculative', draftLength: flags.draftLength ?? SPECULATIVE_DRAFT_LENGTH };
    case 'tidar': {
      const { type, plan, draftLength, beta } = flags;
      if (tidar === undefined && !flags.isRequired) return { type: 'ar' };
      const usual = plan === 'auto' ? blockSize : Math.min(blockSize, NAMED_PLAN_DRAFT_LENGTH);
      return { type, plan, draftLength: draftLength ?? usual, beta };
    }
    case 'diffusion': {
      const { type, blockLength = blockSize, strategy, tokensPerPass, threshold } = flags;
      return strategy === 'threshold'
        ? { type, blockLength, strategy, threshold }
        : { type, blockLength, strategy, tokensPerPass };
    }
  }
}

/** A decoder in a few words. */
export function describeDecoder(decoder: Decoder): string {
  switch (decoder.type) {
    case 'ar':
      return 'ar';
    case 'tidar': {
      const { plan, draftLength, beta } = decoder;
      const length = plan === 'auto' ? `up to ${draftLength} drafts` : `draft length ${draftLength}`;
      return `tidar, plan ${plan}, ${length}${beta < 1 ? `, beta ${beta}` : ''}`;
    }
    case 'speculative':
      return `speculative, draft length ${decoder.draftLength}`;
    case 'diffusion': {
      const { blockLength, strategy } = decoder;
      const pace =
        strategy === 'threshold'
          ? `those of ${decoder.threshold} or more`
          : `${decoder.tokensPerPass} a pass`;
      return `diffusion, blocks of ${blockLength}, ${strategy}, ${pace}`;
    }
  }
}
