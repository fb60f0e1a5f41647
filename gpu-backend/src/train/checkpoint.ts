import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { TidarError } from '@tidar/shared/errors.ts';
import { readFully, readSafetensorsHeader } from '../model/safetensors.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import { parseModelConfig } from '../model/config.ts';
import type { ModelConfig } from '../model/config.ts';
import { trainingSettingsSchema } from './settings.ts';
import type { TrainingSettings } from './settings.ts';

const FILE_NAME = 'checkpoint.safetensors';

/** Everything from which a run goes on exactly as if it had not stopped. */
export interface Checkpoint {
  readonly settings: TrainingSettings;
  /** The model's config.json, as it will be exported. */
  readonly configJson: Record<string, unknown>;
  /** Steps done. */
  readonly step: number;
  /** Updates that the moments had seen before the run's first step: 0 but for a run that took over another's. */
  readonly momentsAge: number;
  /** Parameters under their own names, moments under m.<name> and v.<name>. */
  readonly tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;
}

const stateSchema = z.object({
  settings: trainingSettingsSchema,
  configJson: z.record(z.string(), z.unknown()),
  step: z.int().min(0),
  momentsAge: z.int().min(0).default(0),
});

export function hasCheckpoint(folder: string): boolean {
  return existsSync(path.join(folder, FILE_NAME));
}

/** One file, replaced atomically: an interruption leaves the previous checkpoint whole. */
export function saveCheckpoint(folder: string, checkpoint: Checkpoint): void {
  mkdirSync(folder, { recursive: true });
  const { tensors, ...rest } = checkpoint;
  const entries = [...tensors].map(([name, tensor]) => ({ name, dtype: 'F32' as const, ...tensor }));
  const state = JSON.stringify(rest);
  writeSafetensors(path.join(folder, FILE_NAME), entries, { state });
}

/** Throws `model_folder_invalid` with a sentence for a file that is missing, cut or of another kind. */
export function loadCheckpoint(folder: string): Checkpoint {
  const file = path.join(folder, FILE_NAME);
  const { entries, metadata } = readSafetensorsHeader(file);
  const state = stateSchema.safeParse(parseState(metadata['state'], file));
  if (!state.success) throw notACheckpoint(file, z.prettifyError(state.error));
  const descriptor = openSync(file, 'r');
  try {
    const tensors = new Map(
      [...entries.values()].map((entry) => {
        if (entry.dtype !== 'F32') throw notACheckpoint(file, `${entry.name} is ${entry.dtype}, not F32`);
        const data = new Float32Array(entry.byteLength / Float32Array.BYTES_PER_ELEMENT);
        if (!readFully(descriptor, new Uint8Array(data.buffer), entry.byteOffset))
          throw notACheckpoint(file, 'it is cut');
        return [entry.name, { shape: entry.shape, data }] as const;
      }),
    );
    return { ...state.data, tensors };
  } finally {
    closeSync(descriptor);
  }
}

export function checkpointConfig(checkpoint: Checkpoint): ModelConfig {
  return parseModelConfig(checkpoint.configJson, 'config.json');
}

function parseState(text: string | undefined, file: string): unknown {
  if (text === undefined) throw notACheckpoint(file, 'it holds no training state');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw notACheckpoint(file, String(error));
  }
}

function notACheckpoint(file: string, why: string): TidarError {
  return new TidarError('model_folder_invalid', `${file} is not a checkpoint of npm run train: ${why}.`);
}
