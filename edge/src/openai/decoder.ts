import { type Decoder, SPECULATIVE_DRAFT_LENGTH } from '@tidar/shared/decoder.ts';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelInfo } from '@tidar/shared/protocol.ts';
import type { CommonParameters } from './common-schema.ts';

type Extension = NonNullable<CommonParameters['tidar']>;
type Parameter =
  'plan' | 'draft_length' | 'beta' | 'block_length' | 'strategy' | 'tokens_per_pass' | 'threshold';

/** Whose parameters are whose. */
const PARAMETERS: Readonly<Record<Decoder['type'], readonly Parameter[]>> = {
  ar: [],
  tidar: ['plan', 'draft_length', 'beta'],
  speculative: ['draft_length'],
  diffusion: ['block_length', 'strategy', 'tokens_per_pass', 'threshold'],
};
const DEFAULT_THRESHOLD = 0.9;

/** What the `tidar` object asks to decode by; each of its parameters is taken or refused by its name. */
export function decoderOf({ tidar }: CommonParameters, model: ModelInfo): Decoder {
  const extension = tidar ?? {};
  const hasDiffusion = model.block_size > 0;
  const type = extension.decoder ?? (hasDiffusion ? 'tidar' : 'ar');
  if (!hasDiffusion && (type === 'tidar' || type === 'diffusion')) {
    throw refusal('decoder', `'${model.id}' has no diffusion mode: use decoder 'ar'.`);
  }
  for (const parameter of Object.values(PARAMETERS).flat()) {
    if (extension[parameter] === undefined || PARAMETERS[type].includes(parameter)) continue;
    throw refusal(parameter, `'tidar.${parameter}' means nothing to the decoder '${type}'.`);
  }
  switch (type) {
    case 'ar':
      return { type };
    case 'tidar':
      return tidarOf(extension, model);
    case 'speculative':
      return { type, draft_length: extension.draft_length ?? SPECULATIVE_DRAFT_LENGTH };
    case 'diffusion':
      return diffusionOf(extension, model);
  }
}

function tidarOf(
  { plan: askedPlan, draft_length: draftLength, beta = 1 }: Extension,
  model: ModelInfo,
): Decoder {
  const plan = askedPlan ?? (beta < 1 ? 'dense' : 'auto');
  if (beta < 1 && plan !== 'dense') {
    const message = `'tidar.beta' below 1 needs plan 'dense', not '${plan}': no other has a text of its own then.`;
    throw refusal('beta', message);
  }
  const byDefault = plan === 'auto' ? model.auto_draft_length : model.draft_length;
  return { type: 'tidar', plan, draft_length: draftLength ?? byDefault, beta };
}

function diffusionOf(extension: Extension, model: ModelInfo): Decoder {
  const { tokens_per_pass: tokensPerPass, threshold } = extension;
  const { strategy = threshold === undefined ? 'confidence' : 'threshold' } = extension;
  const block = { type: 'diffusion', block_length: extension.block_length ?? model.block_size } as const;
  const wrong = strategy === 'threshold' ? 'tokens_per_pass' : 'threshold';
  if (extension[wrong] !== undefined) {
    throw refusal(wrong, `'tidar.${wrong}' means nothing to the strategy '${strategy}'.`);
  }
  return strategy === 'threshold'
    ? { ...block, strategy, threshold: threshold ?? DEFAULT_THRESHOLD }
    : { ...block, strategy, tokens_per_pass: tokensPerPass ?? 1 };
}

function refusal(parameter: Parameter | 'decoder', message: string): TidarError {
  return new TidarError('invalid_request', message, { param: `tidar.${parameter}` });
}
