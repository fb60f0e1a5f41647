import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelSession } from '../../device/device.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { ratioInterval, repeatUntil } from './interval.ts';
import type { Interval } from './interval.ts';
import { openLlamas, writeGgufs } from './llama-contenders.ts';
import type { Ggufs, LlamaContender, LlamaSize } from './llama-contenders.ts';
import { openLlamaPeer } from './llama-cpp.ts';
import { greedyText } from './record-acceptance.ts';
import { fastest, measureRound, promptsOfRound, ratesOf, summarize } from './rounds.ts';
import type { Contender, ContenderResult, DecodeRun, Prompts, Round } from './rounds.ts';

/** Our engine: greedy texts of these prompts, `batch` sequences at a time. */
export type DecodeOurs<Decoder> = (prompts: Prompts, batch: number, decoder: Decoder) => Promise<DecodeRun>;

export interface NamedDecoder<Decoder> {
  readonly name: string;
  readonly decoder: Decoder;
}

export interface PeersOptions<Decoder> {
  readonly folder: ModelFolder;
  /** The folder's, as it is: what proves that both engines have the same weights. */
  readonly session: ModelSession;
  readonly prompts: Prompts;
  readonly maxTokens: number;
  readonly numThreads: number;
  readonly decodeOurs: DecodeOurs<Decoder>;
  /** Plain decoding, which is held against llama.cpp's own. */
  readonly ar: NamedDecoder<Decoder>;
  /** Those of which the fastest is held against llama.cpp's fastest. */
  readonly ours: readonly NamedDecoder<Decoder>[];
  readonly batches: readonly number[];
  /** For each batch: until both ratios are within this share, or the time is up. */
  readonly within: number;
  readonly timeLimitMs: number;
  /** Prompts whose texts are compared; absent: all. */
  readonly numComparedTexts?: number;
  /** Lengths of llama.cpp's own speculative decoding to try; 0 has to be one. */
  readonly lookupLengths?: readonly number[];
  readonly onProgress?: (what: string) => void;
}

export interface BatchResult {
  readonly batch: number;
  /** Every setting of llama.cpp, measured a few times to find its best. */
  readonly screening: readonly ContenderResult[];
  readonly contenders: readonly ContenderResult[];
  readonly numRounds: number;
  readonly stoppedBy: string;
  /** Names of what the ratios are of. */
  readonly ours: string;
  readonly theirs: string;
  readonly theirAr: string;
  readonly oursToTheirs: Interval;
  readonly arToAr: Interval;
}

/** Greedy texts of both, token by token. */
export interface Agreement {
  readonly numTexts: number;
  readonly numSameTexts: number;
  readonly numTokens: number;
  /** Before the first difference of each text. */
  readonly numSameTokens: number;
}

export interface PeersResult {
  readonly agreement: Agreement;
  readonly batches: readonly BatchResult[];
}

/** llama.cpp and our engine on the same weights and prompts, taking turns in one run. */
export async function benchPeers<Decoder>(options: PeersOptions<Decoder>): Promise<PeersResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tidar-gguf-'));
  try {
    const ggufs = writeGgufs(options.folder, folder);
    const agreement = await agree(options, ggufs);
    const batches: BatchResult[] = [];
    for (const batch of options.batches) batches.push(await benchBatch(options, ggufs, batch));
    return { agreement, batches };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Room for drafts past the end. */
const SPARE_CONTEXT = 64;

function longestText({ prompts, maxTokens }: { prompts: Prompts; maxTokens: number }): number {
  return Math.max(...prompts.map((prompt) => prompt.length)) + maxTokens;
}

function llamaSize<Decoder>(options: PeersOptions<Decoder>, batch: number): LlamaSize {
  const contextSize = longestText(options) + SPARE_CONTEXT;
  return { numThreads: options.numThreads, numSequences: batch, contextSize };
}

async function agree<Decoder>(options: PeersOptions<Decoder>, ggufs: Ggufs): Promise<Agreement> {
  const { session, maxTokens } = options;
  const prompts = options.prompts.slice(0, options.numComparedTexts);
  const exact = { flashAttention: false, cacheType: 'F32', lookupLength: 0 } as const;
  const peer = await openLlamaPeer({ ...llamaSize(options, 1), ggufPath: ggufs.get('F32') ?? '', ...exact });
  const cache = session.createCache(1, 128 * Math.ceil((longestText(options) + 2) / 128));
  const result = { numTexts: prompts.length, numSameTexts: 0, numTokens: 0, numSameTokens: 0 };
  try {
    for (const prompt of prompts) {
      const theirs = await peer.decode(prompt, maxTokens);
      const { completionIds } = await greedyText(session, cache, prompt, maxTokens);
      const difference = completionIds.findIndex((token, index) => token !== theirs[index]);
      if (difference < 0 && completionIds.length === theirs.length) result.numSameTexts += 1;
      result.numTokens += completionIds.length;
      result.numSameTokens += difference < 0 ? completionIds.length : difference;
    }
    return result;
  } finally {
    cache.dispose();
    await peer.dispose();
  }
}

/** Texts that each sequence of a batch decodes in a round. */
const TEXTS_PER_SEQUENCE = 2;
const NUM_SCREENING_ROUNDS = 3;
/** Of the fastest's tokens/s in the first round. */
const WORTH_A_SECOND_LOOK = 0.7;

async function benchBatch<Decoder>(
  options: PeersOptions<Decoder>,
  ggufs: Ggufs,
  batch: number,
): Promise<BatchResult> {
  const llamas = await openLlamas(ggufs, llamaSize(options, batch), options);
  try {
    options.onProgress?.(`batch ${batch}: looking for the best of ${llamas.length} settings of llama.cpp`);
    const { kept, screening } = await screen(llamas, options.prompts, batch);
    const theirs = bestOf(kept);
    const theirAr = bestOf(kept.filter(({ contender }) => !contender.isSpeculative));
    const result = await race(options, batch, theirs, theirAr);
    return { batch, screening, ...result };
  } finally {
    for (const { peer } of llamas) await peer.dispose();
  }
}

interface Screened {
  readonly contender: LlamaContender;
  readonly tokensPerSecond: number;
}

function bestOf(screened: readonly Screened[]): Contender {
  const [best] = screened.toSorted((a, b) => b.tokensPerSecond - a.tokensPerSecond);
  if (best === undefined) throw new RangeError('llama.cpp has no setting without drafts');
  return best.contender;
}

/** One round of all settings, which also warms up, then some of those that may be the best. */
async function screen(
  llamas: readonly LlamaContender[],
  prompts: Prompts,
  batch: number,
): Promise<{ kept: Screened[]; screening: ContenderResult[] }> {
  const measure = (some: readonly LlamaContender[], round: number): Promise<Round> =>
    measureRound(
      some.map(({ brief }) => brief),
      promptsOfRound(prompts, batch, round),
      round,
    );
  const first = await measure(llamas, 0);
  const rate = ({ name }: Contender): number => first.get(name)?.rate ?? NaN;
  const limit = (some: readonly LlamaContender[]): number =>
    WORTH_A_SECOND_LOOK * Math.max(...some.map(rate));
  const plain = llamas.filter(({ isSpeculative }) => !isSpeculative);
  const kept = llamas.filter((one) => rate(one) >= limit(one.isSpeculative ? llamas : plain));
  const rounds: Round[] = [];
  for (let round = 1; round <= NUM_SCREENING_ROUNDS; round++) rounds.push(await measure(kept, round));
  const results = summarize(kept, rounds);
  const dropped = llamas.filter((one) => !kept.includes(one));
  return {
    kept: results.flatMap(({ tokensPerSecond }, index) => {
      const contender = kept[index];
      return contender === undefined ? [] : [{ contender, tokensPerSecond }];
    }),
    screening: [...results, ...summarize(dropped, [first])],
  };
}

type RaceResult = Omit<BatchResult, 'batch' | 'screening'>;

/** Ours and the best of llama.cpp's, until the ratios are known well enough. */
async function race<Decoder>(
  options: PeersOptions<Decoder>,
  batch: number,
  theirs: Contender,
  theirAr: Contender,
): Promise<RaceResult> {
  const { decodeOurs, prompts, within, timeLimitMs } = options;
  const [ar, ...drafting] = [options.ar, ...options.ours].map(({ name, decoder }): Contender => {
    return { name, decode: (some) => decodeOurs(some, batch, decoder) };
  });
  if (ar === undefined) throw new RangeError('there is no plain decoding');
  const ours = drafting.length > 0 ? drafting : [ar];
  const contenders = [...new Set([ar, ...ours, theirAr, theirs])];
  options.onProgress?.(`batch ${batch}: ${contenders.map(({ name }) => name).join('; ')}`);
  const measure = (round: number): Promise<Round> =>
    measureRound(contenders, promptsOfRound(prompts, batch * TEXTS_PER_SEQUENCE, round), round);
  const ratio = (rounds: readonly Round[], over: Contender, under: Contender): Interval =>
    ratioInterval(ratesOf(rounds, over.name), ratesOf(rounds, under.name));
  await measure(0); // warms up
  const { samples, stoppedBy } = await repeatUntil(
    measure,
    (rounds) => [ratio(rounds, fastest(ours, rounds), theirs), ratio(rounds, ar, theirAr)],
    { within, timeLimitMs },
  );
  const best = fastest(ours, samples);
  return {
    contenders: summarize(contenders, samples),
    numRounds: samples.length,
    stoppedBy,
    ours: best.name,
    theirs: theirs.name,
    theirAr: theirAr.name,
    oursToTheirs: ratio(samples, best, theirs),
    arToAr: ratio(samples, ar, theirAr),
  };
}
