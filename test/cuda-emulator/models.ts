import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';
import { loadModelFolder, readTensor } from '../../gpu-backend/src/model/folder.ts';
import type { FolderOptions, ModelFolder } from '../../gpu-backend/src/model/folder.ts';
import type { FloatDtype } from '../../gpu-backend/src/model/float16.ts';
import type { Precision } from '../../gpu-backend/src/model/precision.ts';
import { writeSafetensors } from '../../gpu-backend/src/model/safetensors-writer.ts';
import type { TensorToWrite } from '../../gpu-backend/src/model/safetensors-writer.ts';
import { nameInFile } from '../../gpu-backend/src/model/tensor-names.ts';

/** The architectures that are served: biases, norms of heads, scaled rotations and queries, and row-gated LoRA. */
export const FIXTURES = ['llama-tidar', 'qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'] as const;
const RANK = 3;
const ADAPTED = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

export interface ModelToRun {
  readonly label: string;
  readonly path: string;
  readonly options?: FolderOptions;
  readonly precision?: Precision;
  readonly candidates: boolean;
}

const fixturePath = (name: string): string => join(REPOSITORY, 'test', 'fixtures', name);

/** Every form of graph that the product makes for CUDA; `folder` takes what has to be written for it. */
export function allForms(folder: string): ModelToRun[] {
  return FIXTURES.flatMap((name) => [
    ...(['F32', 'F16', 'BF16'] as const).flatMap((dtype) => {
      const path = dtype === 'F32' ? fixturePath(name) : narrowed(name, dtype, folder);
      return [false, true].map((candidates) => {
        return { label: `${name}, ${dtype} weights${candidates ? ', candidates' : ''}`, path, candidates };
      });
    }),
    {
      label: `${name}, F32 weights in bfloat16`,
      path: fixturePath(name),
      precision: 'bfloat16',
      candidates: false,
    },
    ...(['int8', 'int4'] as const).map((quantize): ModelToRun => {
      const path = narrowed(name, 'BF16', folder);
      return { label: `${name}, ${quantize} weights`, path, options: { quantize }, candidates: false };
    }),
    ...(['all', 'masks'] as const).map((adapterRows): ModelToRun => {
      const options = { adapter: adapterFor(name, folder), adapterRows };
      return {
        label: `${name}, LoRA of ${adapterRows} rows`,
        path: fixturePath(name),
        options,
        candidates: true,
      };
    }),
  ]);
}

/** Few of them, for tests that run with all others. */
export function fewForms(folder: string): ModelToRun[] {
  const [qwen2, qwen3, nemotron] = ['qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'] as const;
  return [
    { label: 'F32 weights, biases', path: fixturePath(qwen2), candidates: false },
    { label: 'BF16 weights, norms of heads', path: narrowed(qwen3, 'BF16', folder), candidates: true },
    {
      label: 'F16 weights, LoRA of masks, scaled queries',
      path: narrowed(nemotron, 'F16', folder),
      candidates: true,
    },
    {
      label: 'int4 weights',
      path: narrowed('llama-tidar', 'BF16', folder),
      options: { quantize: 'int4' },
      candidates: false,
    },
    {
      label: 'LoRA of all weights and rows',
      path: fixturePath(qwen3),
      options: { adapter: adapterFor(qwen3, folder), adapterRows: 'all' },
      candidates: false,
    },
  ];
}

/** A fixture whose weights are in 16 bits, with the adapter that it brings. */
function narrowed(name: string, dtype: FloatDtype, folder: string): string {
  const path = join(folder, `${name}-${dtype}`);
  cpSync(fixturePath(name), path, { recursive: true });
  const model = loadModelFolder(fixturePath(name));
  writeSafetensors(
    join(path, 'model.safetensors'),
    [...model.tensors.values()].map((tensor) => ({
      name: nameInFile(model.config.architecture, tensor.name),
      dtype,
      shape: tensor.shape,
      data: readTensor(model, tensor.name),
    })),
  );
  return path;
}

/** A PEFT folder with factors for every projection of every layer. */
function adapterFor(name: string, folder: string): string {
  const path = join(folder, `${name}-lora`);
  mkdirSync(path, { recursive: true });
  const model = loadModelFolder(fixturePath(name), { adapter: 'none' });
  const config = { peft_type: 'LORA', r: RANK, lora_alpha: 2 * RANK, bias: 'none' };
  writeFileSync(join(path, 'adapter_config.json'), JSON.stringify(config));
  writeSafetensors(
    join(path, 'adapter_model.safetensors'),
    [...model.tensors.values()].flatMap((tensor) => factors(model, tensor)),
  );
  return path;
}

function factors(
  { config }: ModelFolder,
  { name, shape: [numOutputs = 0, numInputs = 0] }: { name: string; shape: readonly number[] },
): TensorToWrite[] {
  if (!ADAPTED.some((kind) => name.endsWith(`${kind}.weight`))) return [];
  const stem = `base_model.model.${nameInFile(config.architecture, name).replace(/\.weight$/, '')}`;
  const shapes = { A: [RANK, numInputs], B: [numOutputs, RANK] };
  return Object.entries(shapes).map(([side, shape]) => ({
    name: `${stem}.lora_${side}.weight`,
    dtype: 'F32',
    shape,
    data: new Float32Array((shape[0] ?? 0) * (shape[1] ?? 0)).fill(0.01),
  }));
}
