import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTokenFile } from '../data/token-file.ts';
import { saveCheckpoint } from './checkpoint.ts';
import { initialCheckpoint } from './initialize.ts';
import { modelSizeSchema, trainingSettingsSchema } from './settings.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'tidar-train-command-'));
const run = path.join(folder, 'run');
writeTokenFile(path.join(folder, 'train.bin'), [[1, 4, 5, 6, 2]]);
saveCheckpoint(
  run,
  initialCheckpoint(
    modelSizeSchema.parse({ hiddenSize: 16, numLayers: 1, intermediateSize: 24, maxPositions: 64 }),
    { vocabSize: 24, bosTokenId: 1, eosTokenId: 2, maskTokenId: 3 },
    trainingSettingsSchema.parse({ numSteps: 8, numTokens: 16 }),
  ),
);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the command says on its error stream, and how it ends. */
function train(...args: string[]): Promise<{ code: unknown; stderr: string }> {
  const command = [MAIN, '--data', folder, '--run', run, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, command, (error, _, stderr) => resolve({ code: error?.code ?? 0, stderr }));
  });
}

describe('npm run train', () => {
  it.each([
    { args: ['--stesp', '9'], told: "train: Unknown option '--stesp'; --help lists the flags.\n" },
    { args: ['again'], told: 'train: "again" belongs to no flag; --help lists the flags.\n' },
    { args: ['--threads', 'x'], told: 'train: --threads must be a whole number of 1 or more; got "x".\n' },
    { args: ['--steps', 'x'], told: 'train: --steps must be a number; got "x".\n' },
  ])('answers $args by one sentence', async ({ args, told }) => {
    expect(await train(...args)).toEqual({ code: 2, stderr: told });
  });

  it.each([
    { args: ['--steps', '9'], started: 'with --steps 8' },
    { args: ['--hidden', '32'], started: 'with --hidden 16' },
    { args: ['--block-sizes', '4,8'], started: 'with --block-sizes 16' },
    { args: ['--ar-only'], started: 'without --ar-only' },
  ])('refuses $args for a run that was started $started', async ({ args, started }) => {
    const { code, stderr } = await train(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(`was started ${started}`);
  });
});
