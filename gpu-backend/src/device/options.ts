import type { ModelConfig } from '../model/config.ts';
import type { ModelFolder } from '../model/folder.ts';
import { externalFolder } from '../model/graph/serving.ts';

export interface SessionOptions {
  readonly numThreads: number;
  /** Whether candidates leave the graph; without it the size of the vocabulary decides. Tests give it. */
  readonly candidates?: boolean;
  /**
   * Lets a run have one row. It then takes onnxruntime's kernels for one row, whose sums differ in the last digits:
   * for benchmarks that name it, never for serving.
   */
  readonly allowSingleRow?: boolean;
}

/** Above it, whole rows are too much to read at each step. */
const LARGE_VOCABULARY = 4096;
const MAX_CANDIDATES = 256;

export function maxCandidatesOf(config: ModelConfig, options: SessionOptions): number {
  const wanted = options.candidates ?? config.vocabSize > LARGE_VOCABULARY;
  return wanted ? Math.min(MAX_CANDIDATES, config.vocabSize) : 0;
}

/** onnxruntime's session options that have no function of their own. */
export function sessionEntries(folder: ModelFolder, { numThreads }: SessionOptions): Record<string, string> {
  return {
    // Weights are mapped from their files; the graph itself is never written to disk.
    'session.model_external_initializers_file_folder_path': externalFolder(folder),
    // Weights in 16 bits are widened once, a head of a large vocabulary too: its limit is a gibibyte.
    'optimization.constant_folding_max_output_size_in_bytes': String(2 ** 40),
    'session.intra_op.allow_spinning': numThreads > 1 ? '1' : '0',
  };
}
