import type { InferenceSession } from 'onnxruntime-node';

/** Of every session on the GPU. */
export const WEBGPU_OPTIONS = {
  executionProviders: ['webgpu'],
  graphOptimizationLevel: 'all',
  // It keeps a plan of every shape that was ever run, and gains no time.
  enableMemPattern: false,
} as const satisfies InferenceSession.SessionOptions;
