import { TidarError } from '@tidar/shared/errors.ts';
import type {
  GenerateInput,
  GenerateRequest,
  Grammar,
  ModelInfo,
  SamplingParams,
} from '@tidar/shared/protocol.ts';
import { utf8 } from '@tidar/shared/lease.ts';
import { type Hold, holdWith, type Price } from '../ledger/price.ts';
import type { CommonParameters } from './common-schema.ts';
import { decoderOf } from './decoder.ts';

/** More than any template of the known families says around its tools. */
const TOOLS_EXPLAINED_BYTES = 2_048;
/** Of Llama's templates. */
const INDENT = 4;

/** What each route has in a form of its own. */
interface OwnParts {
  input: GenerateInput;
  maxTokens: number | undefined;
  grammar: Grammar | undefined;
  /** How many alternatives beside each token; undefined where no log-probabilities are asked for. */
  logprobs: number | undefined;
  promptLogprobs: number | undefined;
  store: boolean;
}

/** The backend's request for an OpenAI one. The seed is always set, so that an answer can be had again. */
export function generateRequestOf(
  asked: CommonParameters,
  { input, maxTokens, grammar, logprobs, promptLogprobs, store }: OwnParts,
  model: ModelInfo,
  requestId: string,
): GenerateRequest {
  const { tidar } = asked;
  return {
    request_id: requestId,
    model: model.id,
    input,
    num_choices: asked.n ?? 1,
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    stop: typeof asked.stop === 'string' ? [asked.stop] : (asked.stop ?? []),
    stop_token_ids: tidar?.stop_token_ids ?? [],
    ignore_eos: tidar?.ignore_eos ?? false,
    sampling: samplingOf(asked),
    decoder: decoderOf(asked, model),
    ...(grammar === undefined ? {} : { grammar }),
    ...(logprobs === undefined ? {} : { logprobs }),
    ...(promptLogprobs === undefined ? {} : { prompt_logprobs: promptLogprobs }),
    trace: tidar?.trace ?? 'none',
    store,
  };
}

/** No more than this can be billed: the prompt's bytes and its template's, and each choice's limit. */
export function holdOf(request: GenerateRequest, body: Uint8Array, model: ModelInfo, price: Price): Hold {
  const { context_length: contextLength } = model;
  const maxTokens = Math.min(request.max_tokens ?? contextLength, contextLength);
  // A token is at least a byte of the prompt, and the body's own JSON outweighs a template's few tokens.
  const promptBound = Math.min(body.byteLength + numBytesAround(request), contextLength);
  // A longer prompt costs more until it takes the room from the choices, which all of them lose.
  const dearest = Math.min(promptBound, contextLength - maxTokens);
  const limits = { numChoices: request.num_choices, maxTokens, contextLength };
  const atMost = holdWith({ promptTokens: dearest, cachedTokens: 0 }, limits, price);
  // Unless a token of the prompt costs more than one of each choice.
  const longest = holdWith({ promptTokens: promptBound, cachedTokens: 0 }, limits, price);
  return { tokens: atMost.tokens, nanos: Math.max(atMost.nanos, longest.nanos) };
}

/** A template explains tools to its model, which outweighs the body's JSON, and may spread their schemas over lines. */
function numBytesAround({ input }: GenerateRequest): number {
  if (input.type !== 'chat' || input.tools === undefined || input.tool_choice === 'none') return 0;
  return TOOLS_EXPLAINED_BYTES + utf8(JSON.stringify(input.tools, null, INDENT)).byteLength;
}

/** A limit that the model's context has room for; `param` is what its client calls it. */
export function assertFits(maxTokens: number | undefined, param: string, model: ModelInfo): void {
  if (maxTokens === undefined || maxTokens <= model.context_length) return;
  const message = `'${param}' is ${maxTokens}, but the context of '${model.id}' has ${model.context_length} tokens.`;
  throw new TidarError('invalid_request', message, { param });
}

/** A way to rule the text's form, by the name that the client gave it by. */
export type NamedGrammar = [name: string, grammar: Grammar];

/** The form that the text must have, given in one of the ways that there are. */
export function grammarOf({ tidar }: CommonParameters, others: NamedGrammar[] = []): Grammar | undefined {
  const given = [...others];
  if (tidar?.regex !== undefined) given.push(['tidar.regex', { type: 'regex', pattern: tidar.regex }]);
  if (tidar?.grammar !== undefined) given.push(['tidar.grammar', { type: 'grammar', ebnf: tidar.grammar }]);
  const [first, second] = given;
  if (first !== undefined && second !== undefined) {
    const message = `'${second[0]}' and '${first[0]}' both rule the text's form: give only one of them.`;
    throw new TidarError('invalid_request', message, { param: second[0] });
  }
  return first?.[1];
}

function samplingOf(asked: CommonParameters): SamplingParams {
  const { tidar } = asked;
  return {
    temperature: asked.temperature ?? 1,
    top_p: asked.top_p ?? 1,
    top_k: tidar?.top_k ?? 0,
    min_p: tidar?.min_p ?? 0,
    presence_penalty: asked.presence_penalty ?? 0,
    frequency_penalty: asked.frequency_penalty ?? 0,
    repetition_penalty: tidar?.repetition_penalty ?? 1,
    logit_bias: asked.logit_bias ?? [],
    min_tokens: tidar?.min_tokens ?? 0,
    seed: seedOf(asked.seed ?? undefined),
  };
}

/** A negative seed stands for its 64 bits; without one, the edge draws one. */
function seedOf(seed: string | number | undefined): string {
  if (seed === undefined) return String(crypto.getRandomValues(new BigUint64Array(1))[0]);
  const bits = BigInt(seed);
  if (bits !== BigInt.asUintN(64, bits) && bits !== BigInt.asIntN(64, bits)) {
    throw new TidarError('invalid_request', "'seed' has more than 64 bits.", { param: 'seed' });
  }
  return String(BigInt.asUintN(64, bits));
}
