import path from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { servingGraph } from '../../model/graph/serving.ts';
import type { Precision } from '../../model/precision.ts';
import { maxCandidatesOf, sessionEntries } from '../options.ts';
import type { SessionOptions } from '../options.ts';
import { whileFreedMemoryReturns } from './allocator.ts';
import { withDenormalsAsZero } from './denormals.ts';
import type { Pointer } from './library.ts';
import { attempt, call, Handle, result } from './status.ts';

const LOG_WARNINGS = 2;
const ALL_OPTIMIZATIONS = 99;

/** One a thread, for as long as the thread lives: sessions use it to their end. */
let environment: Handle | undefined;

export function ortEnvironment(): Pointer {
  environment ??= new Handle('Env', result('CreateEnv', LOG_WARNINGS, 'tidar'));
  return environment.pointer;
}

/** What a device adds to a session. */
export interface SessionSetUp {
  readonly entries: Readonly<Record<string, string>>;
  /** What the decoder computes in; absent: float32. */
  readonly precision?: Precision | undefined;
  /** Gives the session's options an execution provider; absent: the CPU's. */
  readonly appendProvider?: (sessionOptions: Pointer) => void;
}

/** Loads the model's serving graph. */
export function createSession(folder: ModelFolder, options: SessionOptions, setUp: SessionSetUp): Handle {
  const sessionOptions = new Handle('SessionOptions', result('CreateSessionOptions'));
  try {
    call('SetSessionGraphOptimizationLevel', sessionOptions.pointer, ALL_OPTIMIZATIONS);
    call('SetIntraOpNumThreads', sessionOptions.pointer, options.numThreads);
    // It keeps a plan of every shape that was ever run, and gains no time.
    call('DisableMemPattern', sessionOptions.pointer);
    call('SetInterOpNumThreads', sessionOptions.pointer, 1);
    for (const [key, value] of Object.entries({ ...sessionEntries(folder, options), ...setUp.entries })) {
      call('AddSessionConfigEntry', sessionOptions.pointer, key, value);
    }
    setUp.appendProvider?.(sessionOptions.pointer);
    const candidates = maxCandidatesOf(folder.config, options) > 0;
    const graph = servingGraph(folder, { candidates, precision: setUp.precision });
    const place = new BigUint64Array(1);
    const args = [ortEnvironment(), graph, graph.length, sessionOptions.pointer, place] as const;
    // Its own threads flush denormals too, and it would leave this one doing so.
    const text = whileFreedMemoryReturns(() =>
      withDenormalsAsZero(() => attempt('CreateSessionFromArray', ...args)),
    );
    if (text === undefined) return new Handle('Session', place[0] ?? 0n);
    const message = `onnxruntime could not load the model folder ${path.basename(folder.path)}.`;
    throw new TidarError('model_folder_invalid', message, { internal: text });
  } finally {
    sessionOptions.dispose();
  }
}
