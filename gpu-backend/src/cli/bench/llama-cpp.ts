import { getLlama, InputLookupTokenPredictor, LlamaLogLevel } from 'node-llama-cpp';
import type { Llama, LlamaContext, LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp';

/** llama.cpp on the CPU, driven by token ids. */
export interface LlamaSettings {
  readonly ggufPath: string;
  readonly numThreads: number;
  readonly numSequences: number;
  readonly contextSize: number;
  readonly flashAttention: boolean;
  /** Its cache's type; F16 is its own default. */
  readonly cacheType: 'F16' | 'F32';
  /** Its speculative decoding by prompt lookup: as many drafts at most. 0: none. */
  readonly lookupLength: number;
}

export interface LlamaPeer {
  /** One sequence's greedy tokens, up to an end token (included) or `maxTokens`. Up to `numSequences` at once. */
  decode(promptIds: readonly number[], maxTokens: number): Promise<number[]>;
  /** Raw logits of a causal pass, [tokens][vocab]. */
  logits(tokenIds: readonly number[]): Promise<Float32Array[]>;
  dispose(): Promise<void>;
}

let opened: Promise<Llama> | undefined;

/** The prebuilt binary of its package: nothing is fetched or built here. */
function openLlama(): Promise<Llama> {
  opened ??= getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.error,
  });
  return opened;
}

export async function openLlamaPeer(settings: LlamaSettings): Promise<LlamaPeer> {
  const llama = await openLlama();
  const model = await llama.loadModel({ modelPath: settings.ggufPath, gpuLayers: 0 });
  const context = await model.createContext({
    sequences: settings.numSequences,
    contextSize: settings.contextSize,
    threads: { ideal: settings.numThreads, min: settings.numThreads },
    flashAttention: settings.flashAttention,
    experimentalKvCacheKeyType: settings.cacheType,
    experimentalKvCacheValueType: settings.cacheType,
  });
  const free = Array.from({ length: settings.numSequences }, () =>
    openSequence(context, settings.lookupLength),
  );
  const withSequence = async <T>(use: (sequence: LlamaContextSequence) => Promise<T>): Promise<T> => {
    const sequence = free.pop();
    if (sequence === undefined) throw new RangeError('all sequences are taken');
    try {
      return await use(sequence);
    } finally {
      free.push(sequence);
    }
  };
  return {
    decode: (promptIds, maxTokens) =>
      withSequence((sequence) => decodeSequence(model, sequence, promptIds, maxTokens)),
    logits: (tokenIds) => withSequence((sequence) => causalLogits(sequence, tokenIds)),
    dispose: async () => {
      await context.dispose();
      await model.dispose();
    },
  };
}

/** A GGUF file's vocabulary alone, by llama.cpp's own tokenizer: the text of a special token becomes that token. */
export async function openLlamaVocabulary(ggufPath: string): Promise<{
  tokenize(text: string): number[];
  dispose(): Promise<void>;
}> {
  const llama = await openLlama();
  // It looks for weights first, and says that there are none.
  llama.logLevel = LlamaLogLevel.disabled;
  const model = await llama.loadModel({ modelPath: ggufPath, vocabOnly: true, gpuLayers: 0 });
  llama.logLevel = LlamaLogLevel.error;
  return { tokenize: (text) => model.tokenize(text, true), dispose: () => model.dispose() };
}

function openSequence(context: LlamaContext, lookupLength: number): LlamaContextSequence {
  if (lookupLength === 0) return context.getSequence();
  const tokenPredictor = new InputLookupTokenPredictor({ predictionLength: { max: lookupLength } });
  return context.getSequence({ tokenPredictor });
}

async function decodeSequence(
  { tokens }: LlamaModel,
  sequence: LlamaContextSequence,
  promptIds: readonly number[],
  maxTokens: number,
): Promise<number[]> {
  await sequence.clearHistory();
  const ids = promptIds as readonly Token[];
  const { tokenPredictor } = sequence;
  // Only its chat classes tell the predictor what to look up in.
  if (tokenPredictor instanceof InputLookupTokenPredictor) tokenPredictor.updateInputTokens([...ids]);
  const decoded: number[] = [];
  for await (const token of sequence.evaluate([...ids], { temperature: 0, yieldEogToken: true })) {
    decoded.push(token);
    if (decoded.length === maxTokens || token === tokens.eos) break;
  }
  return decoded;
}

async function causalLogits(
  sequence: LlamaContextSequence,
  tokenIds: readonly number[],
): Promise<Float32Array[]> {
  await sequence.clearHistory();
  const results = await sequence.controlledEvaluate(
    (tokenIds as readonly Token[]).map((token) => [token, { generateNext: { logits: true } }]),
  );
  return results.map((result) => {
    const logits = new Float32Array(result?.next.logits?.size ?? 0);
    for (const [token, logit] of result?.next.logits ?? []) logits[token] = logit;
    return logits;
  });
}
