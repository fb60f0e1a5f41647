import { showInterval } from './interval.ts';
import type { Agreement, BatchResult, PeersResult } from './peers.ts';
import type { ContenderResult } from './rounds.ts';

const TRANSFORMERS_JS =
  'transformers.js is left out: it runs ONNX exports with past key values as inputs and reads no safetensors, and with ' +
  'an export of our own it would be this same onnxruntime on a graph of ours.';

/** The tables, and the one line that scripts read. */
export function reportPeers({ agreement, batches }: PeersResult): string {
  return [
    describeAgreement(agreement),
    ...batches.flatMap((batch) => ['', ...describeBatch(batch)]),
    '',
    'Tokens/s are those of whole answers, prefill included, through node-llama-cpp for llama.cpp.',
    TRANSFORMERS_JS,
    lastLine(batches),
  ].join('\n');
}

function describeAgreement({ numTexts, numSameTexts, numTokens, numSameTokens }: Agreement): string {
  return (
    `Greedy texts, ours against llama.cpp in fp32: ${numSameTexts} of ${numTexts} the same, ` +
    `${numSameTokens} of ${numTokens} tokens before the first difference.`
  );
}

function describeBatch(result: BatchResult): string[] {
  const { batch, screening, contenders, numRounds, stoppedBy, ours, theirs, theirAr } = result;
  const reason = stoppedBy === 'interval' ? 'the intervals were narrow enough' : 'the time was up';
  return [
    `Batch ${batch}, ${numRounds} rounds, until ${reason}`,
    ...table(contenders),
    `${ours} ÷ ${theirs}: ${showInterval(result.oursToTheirs)}`,
    `ar ÷ ${theirAr}: ${showInterval(result.arToAr)}`,
    'llama.cpp, all settings, short texts to find its best (the slow ones, listed last, had one round)',
    ...table(screening),
  ];
}

function table(results: readonly ContenderResult[]): string[] {
  const width = Math.max(...results.map(({ name }) => name.length));
  return results.map(({ name, tokensPerSecond, tokensPerText }) => {
    const rate = tokensPerSecond.toFixed(0).padStart(7);
    return `  ${name.padEnd(width)} ${rate} tokens/s, ${tokensPerText.toFixed(1)} tokens a text`;
  });
}

function lastLine(batches: readonly BatchResult[]): string {
  const ratios = batches.map(
    ({ batch, oursToTheirs }) => `${oursToTheirs.median.toFixed(2)} (batch ${batch})`,
  );
  return `ours/llama.cpp ${ratios.join(' ')}  ar/ar ${(batches[0]?.arToAr.median ?? NaN).toFixed(2)}`;
}
