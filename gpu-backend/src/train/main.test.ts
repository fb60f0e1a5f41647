import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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
const documents = Array.from({ length: 20 }, (_, at) => [1, 4 + at, 5, 6, 4 + at, 7, 2]);
for (const name of ['train.bin', 'valid.bin']) writeTokenFile(path.join(folder, name), documents);
const fresh = (settings: object) =>
  initialCheckpoint(
    modelSizeSchema.parse({ hiddenSize: 16, numLayers: 1, intermediateSize: 24, maxPositions: 64 }),
    { vocabSize: 32, bosTokenId: 1, eosTokenId: 2, maskTokenId: 3 },
    trainingSettingsSchema.parse({
      numSteps: 8,
      numTokens: 16,
      numWarmupSteps: 2,
      batchSize: 2,
      ...settings,
    }),
  );
saveCheckpoint(run, { ...fresh({}), step: 5 });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the command says on its error stream, and how it ends. */
function train(...args: string[]): Promise<{ code: unknown; stderr: string }> {
  const command = [MAIN, '--data', folder, ...(args.includes('--run') ? [] : ['--run', run]), ...args];
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
    { args: ['--schedule', 'constant'], started: 'with --schedule cosine' },
    { args: ['--block-starts', 'random'], started: 'with --block-starts aligned' },
    { args: ['--mask-rows', '8'], started: 'with --mask-rows 16' },
    { args: ['--distill', '0.5'], started: 'with --distill 0' },
    { args: ['--hidden', '32'], started: 'with --hidden 16' },
    { args: ['--block-sizes', '4,8'], started: 'with --block-sizes 16' },
    { args: ['--ar-only'], started: 'without --ar-only' },
  ])('refuses $args for a run that was started $started', async ({ args, started }) => {
    const { code, stderr } = await train(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(`was started ${started}`);
  });

  it('extends a constant run, and ends it by a decay, to the bits of a run that was meant so from the start', async () => {
    const names = ['meant', 'extended'].map((name) => path.join(folder, name));
    const [meant = '', extended = ''] = names;
    for (const name of names) saveCheckpoint(name, fresh({ schedule: 'constant' }));
    const end = ['--schedule', 'wsd', '--decay', '3', '--steps', '9', '--threads', '1'];
    expect(await train('--run', meant, ...end)).toEqual({ code: 0, stderr: '' });
    expect((await train('--run', extended, '--steps', '4', '--threads', '1')).code).toBe(0);
    expect((await train('--run', extended, '--steps', '6', '--threads', '1')).code).toBe(0);
    expect(await train('--run', extended, ...end)).toEqual({ code: 0, stderr: '' });
    const bytes = names.map((name) => readFileSync(path.join(name, 'checkpoint.safetensors')));
    expect(bytes[0]!.equals(bytes[1]!)).toBe(true);
    const { stderr } = await train('--run', extended, '--steps', '12');
    expect(stderr).toContain('was started with --steps 9');
  });
});
