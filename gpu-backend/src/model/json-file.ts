import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';

/** The error for a file of a model folder that can't be used: "<file>: <sentence>". */
export function invalidFile(fileName: string, sentence: string): TidarError {
  return new TidarError('model_folder_invalid', `${fileName}: ${sentence}`);
}

/** Parses a JSON file of a model folder; throws a sentence that names it. */
export function readJson(folder: string, fileName: string): unknown {
  const path = join(folder, fileName);
  if (!existsSync(path)) throw invalidFile(fileName, 'the file is missing.');
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (error) {
    throw invalidFile(fileName, `is not JSON (${(error as Error).message}).`);
  }
}
