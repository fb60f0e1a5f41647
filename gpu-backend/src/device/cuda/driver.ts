import koffi from 'koffi';
import type { LibraryHandle } from 'koffi';

/** A GPU as NVIDIA's driver tells of it; or in one sentence what is missing, and what installs it. */
export type GpuFinding =
  | { readonly name: string; readonly computeCapability: string; readonly freeBytes: number }
  | { readonly absence: string };

const DRIVER_LIBRARY = 'libcuda.so.1';
const INSTALL_DRIVER = '`sudo apt-get install cuda-drivers` from NVIDIA’s repository installs one';
const NO_DEVICE = 100;
const COMPUTE_MAJOR = 75;
const COMPUTE_MINOR = 76;
const NAME_BYTES = 256;

/** Looks at a GPU by the driver's own library, which comes with the driver and whose functions never change. */
export function findGpu(index: number, cudaMajor: number): GpuFinding {
  let library: LibraryHandle;
  try {
    library = koffi.load(DRIVER_LIBRARY);
  } catch {
    return { absence: `There is no NVIDIA driver (${DRIVER_LIBRARY} is missing): ${INSTALL_DRIVER}.` };
  }
  const driver = new Driver(library);
  const status = driver.status('cuInit', ['uint'], 0);
  if (status === NO_DEVICE)
    return { absence: 'NVIDIA’s driver finds no GPU; `nvidia-smi -L` lists those that it knows.' };
  if (status !== 0) {
    return { absence: `NVIDIA’s driver does not start (CUDA error ${status}): ${INSTALL_DRIVER} anew.` };
  }
  const version = driver.int('cuDriverGetVersion');
  if (version < 1000 * cudaMajor) {
    const has = `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
    return { absence: `NVIDIA’s driver is for CUDA ${has}, and ${cudaMajor} is needed: ${INSTALL_DRIVER}.` };
  }
  const count = driver.int('cuDeviceGetCount');
  if (index >= count) {
    return { absence: `There is no GPU ${index}: \`nvidia-smi -L\` lists ${count}, from 0 on.` };
  }
  return driver.describe(driver.int('cuDeviceGet', ['int'], index));
}

class Driver {
  readonly #library: LibraryHandle;

  constructor(library: LibraryHandle) {
    this.#library = library;
  }

  status(name: string, types: readonly string[], ...args: readonly unknown[]): number {
    return this.#library.func(name, 'int', [...types])(...args) as number;
  }

  /** What a function writes to its first argument. */
  int(name: string, types: readonly string[] = [], ...args: readonly unknown[]): number {
    const place = new Int32Array(1);
    this.#check(name, this.status(name, ['void *', ...types], place, ...args));
    return place[0] ?? 0;
  }

  describe(device: number): GpuFinding {
    const name = new Uint8Array(NAME_BYTES);
    this.#check(
      'cuDeviceGetName',
      this.status('cuDeviceGetName', ['void *', 'int', 'int'], name, NAME_BYTES, device),
    );
    const attribute = (which: number): number =>
      this.int('cuDeviceGetAttribute', ['int', 'int'], which, device);
    return {
      name: new TextDecoder().decode(name.subarray(0, name.indexOf(0))),
      computeCapability: `${attribute(COMPUTE_MAJOR)}.${attribute(COMPUTE_MINOR)}`,
      freeBytes: this.#freeBytes(device),
    };
  }

  /** A context is needed to ask: the one that the runtime will use, which costs nothing twice. */
  #freeBytes(device: number): number {
    const place = new BigUint64Array(1);
    const sizes = new BigUint64Array(2);
    this.#check(
      'cuDevicePrimaryCtxRetain',
      this.status('cuDevicePrimaryCtxRetain', ['void *', 'int'], place, device),
    );
    try {
      this.#check('cuCtxPushCurrent', this.status('cuCtxPushCurrent_v2', ['void *'], place[0] ?? 0n));
      const status = this.status('cuMemGetInfo_v2', ['void *', 'void *'], sizes, sizes.subarray(1));
      this.status('cuCtxPopCurrent_v2', ['void *'], place);
      this.#check('cuMemGetInfo', status);
    } finally {
      this.status('cuDevicePrimaryCtxRelease_v2', ['int'], device);
    }
    return Number(sizes[0] ?? 0n);
  }

  #check(name: string, status: number): void {
    if (status !== 0) throw new Error(`${name} of NVIDIA's driver gave CUDA error ${status}`);
  }
}
