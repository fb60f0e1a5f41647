import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { Finding } from '../choose.ts';
import { ColumnGraphs } from './columns.ts';

const HEAD_DIM = 4;
const NUM_DIGITS = 8;

/** Whether onnxruntime gets an adapter from WebGPU, and the adapter writes a table in place, as the cache asks for. */
export async function probeWebGpu(): Promise<Finding> {
  try {
    const graphs = await ColumnGraphs.open(HEAD_DIM);
    const table = await graphs.zeros(2, HEAD_DIM);
    table.dispose();
    await graphs.dispose();
    return { hardware: adapterName() };
  } catch (error) {
    return { absence: absenceOf(String(error)) };
  }
}

/** onnxruntime does not tell an adapter's name; numbers are only promised to be the same on the same machine. */
function adapterName(): string {
  const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, NUM_DIGITS);
  return `the WebGPU adapter of ${process.platform} machine ${machine}`;
}

function absenceOf(message: string): string {
  if (message.includes('No supported adapters')) {
    return process.platform === 'linux'
      ? 'WebGPU found no adapter: it needs a Vulkan driver and its loader (`sudo apt-get install libvulkan1 mesa-vulkan-drivers`, or the GPU maker’s driver).'
      : 'WebGPU found no adapter: the GPU’s driver is missing or too old.';
  }
  const [sentence = message] = message.split('\n');
  return `WebGPU cannot be used: ${sentence.replace(/^Error: /, '')}`;
}
