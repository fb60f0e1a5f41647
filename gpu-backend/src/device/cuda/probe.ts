import koffi from 'koffi';
import type { Finding } from '../choose.ts';
import { libraryPlace } from '../c-api/library.ts';
import { findGpu } from './driver.ts';
import type { CudaOptions } from './options.ts';
import { findProvider } from './provider-files.ts';

/** The driver's; it has a look of its own. */
const DRIVER_LIBRARY = 'libcuda.so.1';

/** Whether CUDA can be used here, looked at in the order in which a person would install it. Loads no provider. */
export function probeCuda({ device }: Pick<CudaOptions, 'device'>): Finding {
  const { platform, arch } = process;
  if (platform !== 'linux' || arch !== 'x64') {
    return { absence: `onnxruntime has a CUDA provider for Linux on x64; this is ${platform} on ${arch}.` };
  }
  const { folder, version } = libraryPlace();
  const provider = findProvider(folder, version);
  if ('absence' in provider) return provider;
  const gpu = findGpu(device, provider.cudaMajor);
  if ('absence' in gpu) return gpu;
  const missing = provider.libraries.filter((name) => name !== DRIVER_LIBRARY && !canLoad(name));
  if (missing.length > 0) return { absence: missingLibraries(missing, provider.cudaMajor) };
  return { hardware: `${gpu.name}, compute ${gpu.computeCapability}`, freeBytes: gpu.freeBytes };
}

function canLoad(name: string): boolean {
  try {
    koffi.load(name);
    return true;
  } catch {
    return false;
  }
}

/** NVIDIA's packages name the minor version too; the first of a major one is enough for all of it. */
function missingLibraries(names: readonly string[], cudaMajor: number): string {
  const packages = [
    ...(names.some((name) => !name.startsWith('libcudnn')) ? [`cuda-libraries-${cudaMajor}-0`] : []),
    ...(names.some((name) => name.startsWith('libcudnn')) ? [`libcudnn9-cuda-${cudaMajor}`] : []),
  ];
  const command = `\`sudo apt-get install ${packages.join(' ')}\``;
  const verb = names.length === 1 ? 'is' : 'are';
  return `${names.join(', ')} of CUDA ${cudaMajor} ${verb} missing: ${command} from NVIDIA’s repository installs what is needed.`;
}
