import { readFileSync } from 'node:fs';
import { generate } from '../../decode/generate.ts';
import { soloEngine } from '../../decode/solo-engine.ts';
import type { ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import { ShapeTimer } from '../../engine/time-shape.ts';
import { loadModelFolder, outlineFolder } from '../../model/folder.ts';
import { cpuMemory, describeMemory, formatBytes } from '../../model/memory.ts';

const DRAFT_LENGTH = 4;
const CURVE_CONTEXT = 256;
const CURVE_ROWS = [2, 4, 8, 16, 20, 32, 64];

export interface MeasureOptions {
  readonly numThreads: number;
  readonly numPromptTokens: number;
  readonly maxTokens: number;
  readonly say: (line: string) => void;
}

/** Loads a folder and runs it once end to end: how long each part takes, and the memory after it. */
export async function measureModel(path: string, options: MeasureOptions): Promise<void> {
  const { say, numThreads } = options;
  say(`stated: ${describeMemory(cpuMemory(outlineFolder(path)))}`);
  const [folder, hashMs] = await timed(() => Promise.resolve(loadModelFolder(path)));
  say(`folder checked and hashed in ${seconds(hashMs)}; ${memory()}`);
  const [session, loadMs] = await timed(() => openModel(folder, { numThreads }));
  say(`loaded in ${seconds(loadMs)}; ${memory()}`);
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
  let [prefillMs, decodeMs, numTokens, numPasses] = [0, 0, 0, 0];
  const startedAt = performance.now();
  for await (const event of generate(engine, { ...common, decoder })) {
    if (event.type === 'end') break;
    if (event.isPrefill) {
      // A long prompt takes several passes; the last one decides a token.
      prefillMs = performance.now() - startedAt;
      const isLast = event.tokenIds.length > 0;
      if (isLast) say(`prefill of ${numPromptTokens} tokens in ${seconds(prefillMs)}; ${memory()}`);
      continue;
    }
    decodeMs += event.milliseconds;
    numTokens += event.tokenIds.length;
    numPasses += 1;
  }
  engine.dispose();
  const perPass = decodeMs / Math.max(1, numPasses);
  const rows = DRAFT_LENGTH * (1 + DRAFT_LENGTH);
  say(
    `one-pass decoding: ${numTokens} tokens in ${numPasses} passes of up to ${rows} rows, ${seconds(perPass)} each`,
  );
  say(memory());
}

async function measureCurve(session: ModelSession, say: (line: string) => void): Promise<void> {
  const timer = new ShapeTimer(session);
  for (const numRows of CURVE_ROWS) {
    const times: number[] = [];
    for (let run = 0; run < 2; run += 1) times.push(await timer.time(numRows, 1, CURVE_CONTEXT));
    say(`${numRows} rows: ${seconds(Math.min(...times))}`);
  }
  timer.dispose();
  say(memory());
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const startedAt = performance.now();
  return [await work(), performance.now() - startedAt];
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`;

/** What this process holds: its own, files that are mapped, and the most that both were. */
function memory(): string {
  if (process.platform !== 'linux') return `resident ${formatBytes(process.memoryUsage.rss())}`;
  const status = readFileSync('/proc/self/status', 'utf8');
  const of = (field: string): string =>
    formatBytes(1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0));
  return `own ${of('RssAnon')}, mapped ${of('RssFile')}, most ${of('VmHWM')}`;
}
