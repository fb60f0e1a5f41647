import { readFileSync } from 'node:fs';
import { generate } from '../../decode/generate.ts';
import { soloEngine } from '../../decode/solo-engine.ts';
import type { ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import { ShapeTimer } from '../../engine/time-shape.ts';
import { loadModelFolder, outlineFolder } from '../../model/folder.ts';
import { cpuMemory, describeMemory, formatBytes } from '../../model/memory.ts';
import type { Quantization } from '../../model/quantization/scheme.ts';

const DRAFT_LENGTH = 4;
const CURVE_CONTEXT = 256;
const CURVE_ROWS = [2, 4, 8, 16, 20, 32, 64];
const CURVE_RUNS = 2;

export interface MeasureOptions {
  readonly quantize: Quantization | undefined;
  readonly numThreads: number;
  readonly numPromptTokens: number;
  readonly maxTokens: number;
  readonly say: (line: string) => void;
}

/** Loads a folder and runs it once end to end: how long each part takes, and the memory after it. */
export async function measureModel(path: string, options: MeasureOptions): Promise<void> {
  const { say, numThreads, quantize } = options;
  say(`stated: ${describeMemory(cpuMemory(outlineFolder(path, { quantize })))}`);
  const hashing = new Stopwatch();
  const folder = loadModelFolder(path, { quantize });
  say(`folder checked and hashed in ${hashing.told()}; ${memory()}`);
  const loading = new Stopwatch();
  const session = await openModel(folder, { numThreads });
  say(`loaded in ${loading.told()}; ${memory()}`);
  try {
    await measureText(session, options);
    await measureCurve(session, say);
  } finally {
    await session.dispose();
  }
}

/** One text by TiDAR's passes, dense; a model that was never trained accepts few drafts. */
async function measureText(session: ModelSession, options: MeasureOptions): Promise<void> {
  const { say, numPromptTokens, maxTokens } = options;
  const { vocabSize } = session.config;
  const promptIds = Array.from({ length: numPromptTokens }, (_, at) => (7919 * at + 500) % vocabSize);
  const engine = soloEngine(session);
  const decoder = { type: 'tidar', plan: 'dense', draftLength: DRAFT_LENGTH, beta: 1 } as const;
  const sampling = { ...PLAIN_SAMPLING, seed: 1n };
  const common = { promptIds, maxTokens, sampling, stopTokenIds: [], ignoreEos: true };
  let [numTokens, numPasses] = [0, 0];
  let watch = new Stopwatch();
  for await (const event of generate(engine, { ...common, decoder })) {
    if (event.type === 'end') break;
    if (!event.isPrefill) {
      numTokens += event.tokenIds.length;
      numPasses += 1;
    } else if (event.tokenIds.length > 0) {
      // A long prompt takes several passes; the last one decides a token.
      say(`prefill of ${numPromptTokens} tokens in ${watch.told()}; ${memory()}`);
      watch = new Stopwatch();
    }
  }
  const rows = DRAFT_LENGTH * (1 + DRAFT_LENGTH);
  say(
    `one-pass decoding: ${numTokens} tokens in ${numPasses} passes of up to ${rows} rows, ${watch.told(numPasses)} each`,
  );
  say(memory());
  engine.dispose();
}

async function measureCurve(session: ModelSession, say: (line: string) => void): Promise<void> {
  const timer = new ShapeTimer(session);
  for (const numRows of CURVE_ROWS) {
    await timer.time(numRows, 1, CURVE_CONTEXT);
    const watch = new Stopwatch();
    for (let run = 0; run < CURVE_RUNS; run += 1) await timer.time(numRows, 1, CURVE_CONTEXT);
    say(`${numRows} rows: ${watch.told(CURVE_RUNS)}`);
  }
  timer.dispose();
  say(memory());
}

/** Time that passed, and the processor's own of this process: on a machine that does other things they differ. */
class Stopwatch {
  readonly #startedAt = performance.now();
  readonly #usage = process.cpuUsage();

  told(numParts = 1): string {
    const seconds = (milliseconds: number): string => `${(milliseconds / 1000 / numParts).toFixed(2)} s`;
    const { user, system } = process.cpuUsage(this.#usage);
    return `${seconds(performance.now() - this.#startedAt)} (${seconds((user + system) / 1000)} of processor)`;
  }
}

/** What this process holds: its own, files that are mapped, and the most that both were. */
function memory(): string {
  if (process.platform !== 'linux') return `resident ${formatBytes(process.memoryUsage.rss())}`;
  const status = readFileSync('/proc/self/status', 'utf8');
  const of = (field: string): string =>
    formatBytes(1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0));
  return `own ${of('RssAnon')}, mapped ${of('RssFile')}, most ${of('VmHWM')}`;
}
