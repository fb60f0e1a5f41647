import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{scripts,shared,edge,gpu-backend,test}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '.runs/**'],
    environment: 'node',
    // Processes, not threads: onnxruntime and koffi keep native state that a thread's end doesn't free.
    pool: 'forks',
    // Model runs are pinned to a thread each; more files at once than cores would only make timings lie.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    restoreMocks: true,
  },
});
