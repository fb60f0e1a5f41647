import path from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import koffi from 'koffi';
import { ortEnvironment } from '../c-api/create-session.ts';
import type { libraryPlace, Pointer } from '../c-api/library.ts';
import { attempt, call, Handle, result } from '../c-api/status.ts';
import { providerOptions } from './options.ts';
import type { CudaOptions } from './options.ts';
import { findProvider } from './provider-files.ts';

const REGISTERED_NAME = 'tidar-cuda';

const NOW_AND_FOR_GOOD = 0x2 | 0x1000;

let opened: { readonly runtimeLibrary: string } | undefined;

/**
 * Loads the CUDA provider that lies beside the library, once a thread, and makes it known to the environment, whose
 * CopyTensors copies by it. Refuses one of another version, which onnxruntime itself would load.
 */
export function openProvider(place: ReturnType<typeof libraryPlace>): { runtimeLibrary: string } {
  if (opened !== undefined) return opened;
  const provider = findProvider(place.folder, place.version);
  if ('absence' in provider) throw new TidarError('backend_unavailable', provider.absence);
  keepLoaded(path.join(place.folder, place.file));
  const environment = ortEnvironment(); // the provider's log is its
  // Its error names what is missing; that of a session's options does not.
  new Handle('CUDAProviderOptions', makeOptions({})).dispose();
  const text = attempt('RegisterExecutionProviderLibrary', environment, REGISTERED_NAME, provider.path);
  // The process has one environment: a thread before this one may have done it.
  if (text !== undefined && !text.includes('already registered')) throw unusable(text);
  opened = { runtimeLibrary: `libcudart.so.${provider.cudaMajor}` };
  return opened;
}

/**
 * A thread that ends unloads onnxruntime's library, and the provider, which stays, calls it as the process ends: a crash
 * after everything is done. The loader's own count of references keeps it.
 */
function keepLoaded(file: string): void {
  const dlopen = koffi.load('libc.so.6').func('dlopen', 'void *', ['const char *', 'int']);
  dlopen(file, NOW_AND_FOR_GOOD);
}

/** Gives a session's options the CUDA provider. */
export function appendCudaProvider(sessionOptions: Pointer, options: CudaOptions): void {
  const cuda = new Handle('CUDAProviderOptions', makeOptions(providerOptions(options)));
  try {
    call('SessionOptionsAppendExecutionProvider_CUDA_V2', sessionOptions, cuda.pointer);
  } finally {
    cuda.dispose();
  }
}

function makeOptions(options: Readonly<Record<string, string>>): Pointer {
  const pointer = result('CreateCUDAProviderOptions');
  const [keys, values] = [Object.keys(options), Object.values(options)];
  const error = attempt('UpdateCUDAProviderOptions', pointer, keys, values, keys.length);
  if (error !== undefined) throw unusable(error);
  return pointer;
}

function unusable(text: string): TidarError {
  const missing = /(\S+\.so\S*): cannot open shared object file/.exec(text)?.[1];
  const what = missing === undefined ? 'cannot be used here' : `lacks ${missing}`;
  return new TidarError('backend_unavailable', `The CUDA provider of onnxruntime ${what}.`, {
    internal: text,
  });
}
