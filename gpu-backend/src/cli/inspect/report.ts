import type { ModelConfig } from '../../model/config.ts';
import { describeMemory, formatBytes, leastBytes } from '../../model/memory.ts';
import type { RopeScaling } from '../../model/rope-config.ts';
import type { Inspection, ModelFacts, TokenizerFacts } from './inspect.ts';

const LABEL_WIDTH = 14;

/** The inspection as lines for a person. */
export function reportLines({ name, model, tokenizer, problems }: Inspection): string[] {
  return [
    line('folder', name),
    ...(model ? modelLines(model) : []),
    ...(model ? tokenizerLines(tokenizer) : []),
    ...(model ? memoryLines(model) : []),
    ...(problems.length === 0
      ? [line('would fail', 'nothing that can be seen without running it')]
      : problems.map((problem, index) => line(index === 0 ? 'would fail' : '', problem))),
  ];
}

const line = (label: string, text: string): string => `${label.padEnd(LABEL_WIDTH)} ${text}`;

function modelLines({ config, ...model }: ModelFacts): string[] {
  const { numLayers, numHeads, numKeyValueHeads, headDim, hiddenSize, vocabSize } = config;
  const heads = `${numHeads} heads of ${headDim} on ${numKeyValueHeads} for keys`;
  const head = config.tieWordEmbeddings ? 'head tied to the token table' : 'head of its own';
  const dtypes = Object.entries(model.dtypes).map(([dtype, count]) => `${dtype} ${formatCount(count)}`);
  const { length } = model.files;
  return [
    line('architecture', model.architecture),
    line('parameters', `${formatCount(model.numParameters)} (${dtypes.join(', ')})`),
    line(
      'files',
      `${formatBytes(model.numWeightBytes)} in ${length === 1 ? model.files[0] : `${length} shards`}`,
    ),
    line('shape', `${numLayers} layers, hidden ${hiddenSize}, ${heads}, vocabulary ${vocabSize}, ${head}`),
    line('context', `${config.maxPositions} tokens, ${rotation(config)}`),
    line('TiDAR', tidar(config)),
    line('adapter', adapterText(model.adapter)),
  ];
}

function rotation({ ropeTheta, ropeScaling, queryScaling }: ModelConfig): string {
  const scaled = ropeScaling === undefined ? '' : `, ${scaling(ropeScaling)}`;
  const queries = queryScaling === undefined ? '' : `, queries grow by ${queryScaling.beta} · ln`;
  return `rotary base ${ropeTheta}${scaled}${queries}`;
}

function scaling(rope: RopeScaling): string {
  const from = 'originalMaxPositions' in rope ? ` from ${rope.originalMaxPositions}` : '';
  return `${rope.type} × ${rope.factor}${from}`;
}

function tidar({ tidar: fields }: ModelConfig): string {
  if (fields === undefined)
    return 'no diffusion mode: one token a pass (--mask-token and --block-size give it one)';
  return `mask token ${fields.maskTokenId}, block size ${fields.blockSize}`;
}

function adapterText(adapter: ModelFacts['adapter']): string {
  if (adapter === undefined) return 'none';
  const rows = adapter.rows === 'masks' ? 'mask rows alone' : 'all rows';
  return `LoRA of rank ${adapter.rank} on ${adapter.numWeights} weights, for ${rows}`;
}

function tokenizerLines(tokenizer: TokenizerFacts | undefined): string[] {
  if (tokenizer === undefined) {
    return [line('tokenizer', 'none: it can be given token ids only'), line('template', 'none')];
  }
  const { vocabSize, numAddedTokens, endTokens } = tokenizer;
  const ends = endTokens.length === 0 ? 'no end token' : `ends at ${endTokens.join(', ')}`;
  return [
    line('tokenizer', `${vocabSize} tokens, ${numAddedTokens} of them added, ${ends}`),
    line('template', templateText(tokenizer)),
  ];
}

function templateText({ hasChatTemplate, marks: { calls, thoughts } }: TokenizerFacts): string {
  if (!hasChatTemplate) return 'none: text is taken as it is';
  const tools = calls === undefined ? 'no tools that can be called' : `tools called in the form ${calls}`;
  return `chat template, ${tools}${thoughts === undefined ? '' : `, thoughts in ${thoughts.open}`}`;
}

function memoryLines({ memory: { cpu, halfPrecision }, quantization }: ModelFacts): string[] {
  const bits = quantization === undefined ? '' : `, products’ weights in ${quantization}`;
  return [
    line('memory', `CPU, float32${bits}: ${formatBytes(leastBytes(cpu))}: ${describeMemory(cpu)}`),
    line(
      '',
      `a device in 16 bits${bits}: ${formatBytes(leastBytes(halfPrecision))}: ${describeMemory(halfPrecision)}`,
    ),
  ];
}

function formatCount(count: number): string {
  if (count < 1e6) return String(count);
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} million` : `${(count / 1e9).toFixed(2)} billion`;
}
