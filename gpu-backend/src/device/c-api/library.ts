import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import koffi from 'koffi';
import type { LibraryHandle } from 'koffi';

/** An address: of an object of onnxruntime's, or of memory. */
export type Pointer = bigint;
export const NULL: Pointer = 0n;

/**
 * What the functions take. `pointer` arguments are addresses, or typed arrays, whose memory is passed as it is: that is
 * how lists and places for results are given.
 */
const TYPES = {
  pointer: 'void *',
  size: 'size_t',
  int: 'int',
  text: 'const char *',
  texts: 'const char **',
} as const;
type ArgumentType = keyof typeof TYPES;
export type Argument = Pointer | ArrayBufferView | number | string | readonly string[];
/** Gives a status: null, or an error. */
export type OrtFunction = (...args: readonly Argument[]) => Pointer | null;

/** Places in `struct OrtApi` (onnxruntime_c_api.h), which only ever grows at its end, and what each function takes. */
const FUNCTIONS = {
  CreateEnv: [3, ['int', 'text', 'pointer']],
  CreateSessionFromArray: [8, ['pointer', 'pointer', 'size', 'pointer', 'pointer']],
  CreateSessionOptions: [10, ['pointer']],
  SetSessionGraphOptimizationLevel: [23, ['pointer', 'int']],
  SetIntraOpNumThreads: [24, ['pointer', 'int']],
  SetInterOpNumThreads: [25, ['pointer', 'int']],
  DisableMemPattern: [17, ['pointer']],
  CreateRunOptions: [39, ['pointer']],
  RunOptionsSetTerminate: [46, ['pointer']],
  RunOptionsUnsetTerminate: [47, ['pointer']],
  CreateTensorAsOrtValue: [48, ['pointer', 'pointer', 'size', 'int', 'pointer']],
  CreateTensorWithDataAsOrtValue: [49, ['pointer', 'pointer', 'size', 'pointer', 'size', 'int', 'pointer']],
  GetTensorMutableData: [51, ['pointer', 'pointer']],
  CreateMemoryInfo: [68, ['text', 'int', 'int', 'int', 'pointer']],
  CreateCpuMemoryInfo: [69, ['int', 'int', 'pointer']],
  GetAllocatorWithDefaultOptions: [78, ['pointer']],
  AddSessionConfigEntry: [130, ['pointer', 'text', 'text']],
  CreateAllocator: [131, ['pointer', 'pointer', 'pointer']],
  RunWithBinding: [133, ['pointer', 'pointer', 'pointer']],
  CreateIoBinding: [134, ['pointer', 'pointer']],
  BindInput: [136, ['pointer', 'text', 'pointer']],
  BindOutput: [137, ['pointer', 'text', 'pointer']],
  AddRunConfigEntry: [165, ['pointer', 'text', 'text']],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, ['pointer', 'pointer']],
  CreateCUDAProviderOptions: [205, ['pointer']],
  UpdateCUDAProviderOptions: [206, ['pointer', 'texts', 'texts', 'size']],
  RegisterExecutionProviderLibrary: [301, ['pointer', 'text', 'text']],
  CopyTensors: [386, ['pointer', 'pointer', 'pointer', 'pointer', 'size']],
} as const satisfies Record<string, readonly [index: number, args: readonly ArgumentType[]]>;

/** What frees each kind of object; these return nothing. */
const RELEASES = {
  Env: 92,
  Status: 93,
  MemoryInfo: 94,
  Session: 95,
  Value: 96,
  RunOptions: 97,
  SessionOptions: 100,
  Allocator: 132,
  IoBinding: 135,
  CUDAProviderOptions: 208,
} as const;

const GET_ERROR_MESSAGE = 2;
/** Libraries hand out one table, whose first part is that of older ones: its later functions are there too. */
const API_VERSION = 17;
/** Names a folder that holds the library, of this very version, and provider files beside it. */
export const LIBRARY_FOLDER = 'ONNXRUNTIME_FOLDER';

type FunctionName = keyof typeof FUNCTIONS;
export type ReleaseName = keyof typeof RELEASES;

export interface OrtApi {
  /** koffi unloads a library that nobody holds, whatever still points into it. */
  readonly library: LibraryHandle;
  readonly version: string;
  readonly functions: Readonly<Record<FunctionName, OrtFunction>>;
  readonly release: Readonly<Record<ReleaseName, (object: Pointer) => void>>;
  readonly errorMessage: (status: Pointer) => string;
}

let loaded: OrtApi | undefined;

/**
 * The library that onnxruntime-node carries, or the one that the environment names, loaded once a thread. Throws where
 * it isn't of the version expected.
 */
export function ortApi(): OrtApi {
  if (loaded === undefined) {
    const { folder, file, version } = libraryPlace();
    loaded = load(path.join(folder, file), version);
  }
  return loaded;
}

/** Where the library is and of which version it must be: onnxruntime-node's own, wherever it is loaded from. */
export function libraryPlace(): { folder: string; file: string; version: string } {
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const names: Partial<Record<NodeJS.Platform, string>> = {
    linux: 'libonnxruntime.so.1',
    darwin: `libonnxruntime.${version}.dylib`,
    win32: 'onnxruntime.dll',
  };
  const file = names[process.platform];
  if (file === undefined) throw new TidarError('internal', `No onnxruntime for ${process.platform}.`);
  const own = path.join(path.dirname(manifest), 'bin', 'napi-v6', process.platform, process.arch);
  const named = process.env[LIBRARY_FOLDER];
  return { folder: named === undefined || named === '' ? own : path.resolve(named), file, version };
}

function load(file: string, expectedVersion: string): OrtApi {
  enlargeStacks();
  const library = koffi.load(file);
  const base = library.func('OrtGetApiBase', 'void *', [])() as Pointer;
  const getApi = functionAt(base, 0, 'void *', ['uint32_t']);
  const getVersion = functionAt(base, 1, 'const char *', []);
  const version = getVersion() as string;
  if (version !== expectedVersion) {
    throw new TidarError('internal', 'The onnxruntime library is not the one that was installed.', {
      internal: `${file} is onnxruntime ${version}, expected ${expectedVersion}`,
    });
  }
  return { library, version, ...bindTable(getApi(API_VERSION) as Pointer) };
}

/** onnxruntime optimizes graphs recursively. koffi refuses once it has loaded a library, in any of its threads. */
function enlargeStacks(): void {
  try {
    koffi.config({ sync_stack_size: 16 << 20 });
  } catch {
    return; // the sizes are those that the first caller chose
  }
}

function bindTable(table: Pointer): Omit<OrtApi, 'library' | 'version'> {
  const functions = Object.entries(FUNCTIONS).map(([name, [index, args]]) => {
    const types = args.map((type) => TYPES[type]);
    return [name, functionAt(table, index, 'void *', types)];
  });
  const release = Object.entries(RELEASES).map(([name, index]) => [
    name,
    functionAt(table, index, 'void', ['void *']),
  ]);
  return {
    functions: Object.fromEntries(functions) as OrtApi['functions'],
    release: Object.fromEntries(release) as OrtApi['release'],
    errorMessage: functionAt(table, GET_ERROR_MESSAGE, 'const char *', ['void *']) as OrtApi['errorMessage'],
  };
}

function functionAt(table: Pointer, index: number, result: string, args: readonly string[]) {
  const pointer = koffi.decode(table, index * koffi.sizeof('void *'), 'void *') as Pointer;
  return koffi.decode(pointer, koffi.proto(result, [...args])) as (...values: readonly Argument[]) => unknown;
}
