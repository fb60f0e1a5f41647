import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { REPOSITORY } from '../../../gpu-backend/src/cli/start/repository.ts';
import { BackendProcess, closingEvents, readEvents, tokenIdsOf } from '../../support/backend-process.ts';
import { FIXTURE, withFolder } from '../check.ts';
import type { Extent } from '../check.ts';
import { readLog } from '../log.ts';
import { emulatedEnvironment } from '../run.ts';
import type { Emulation } from '../run.ts';

const PROMPT = Array.from({ length: 150 }, (_, at) => at % 46);
const NUM_TOKENS = 80;

/** The real command, twice: with graphs and without, by drafts and plainly. */
export function generation(emulation: Emulation, extent: Extent): string {
  const ways = [
    ['--decode', 'tidar', '--plan', 'dense', '--cuda', 'graphs=on'],
    ...(extent === 'all'
      ? [
          ['--decode', 'ar', '--precision', 'bfloat16'],
          ['--decode', 'diffusion'],
        ]
      : []),
  ];
  for (const way of ways) {
    withFolder((folder) => {
      const log = join(folder, 'log');
      const script = join(REPOSITORY, 'gpu-backend', 'src', 'cli', 'generate.ts');
      const prompt = ['--prompt-ids', PROMPT.join(','), '--max-tokens', String(NUM_TOKENS), '--ignore-eos'];
      const args = [script, '--model', FIXTURE, '--device', 'cuda', '--json', ...prompt, ...way];
      const env = { ...process.env, ...emulatedEnvironment(emulation, log) };
      const { status, stdout, stderr } = spawnSync(process.execPath, args, {
        cwd: REPOSITORY,
        encoding: 'utf8',
        env,
      });
      assert.deepEqual([status, stderr], [0, ''], way.join(' '));
      const { usage } = JSON.parse(stdout) as { usage: { completionTokens: number } };
      assert.equal(usage.completionTokens, NUM_TOKENS, way.join(' '));
      const phases = readLog(log);
      assert.deepEqual(
        phases.flatMap(({ errors }) => errors),
        [],
      );
      assert.ok((phases[0]?.withinDevice ?? 0) > 0, 'the cache grew within the GPU');
    });
  }
  return `${ways.length} texts of ${NUM_TOKENS} tokens`;
}

const SERVED = {
  request_id: 'emulated',
  model: 'llama-tidar',
  input: { type: 'tokens', token_ids: PROMPT },
  max_tokens: 24,
  ignore_eos: true,
  sampling: { temperature: 0, seed: '7' },
  decoder: { type: 'tidar', draft_length: 4 },
} as const;

export async function serving(emulation: Emulation): Promise<void> {
  await withFolder(async (folder) => {
    const log = join(folder, 'log');
    const env = emulatedEnvironment(emulation, log);
    const args = ['--device', 'auto', '--max-concurrent', '2'];
    const backend = await BackendProcess.start({ modelPath: FIXTURE, args, env });
    try {
      assert.match(backend.output, /^device +cuda \(Emulated GPU, compute 8\.9\), float32: /m);
      assert.match(
        backend.output,
        /^runtime +onnxruntime [\d.]+, cuda, float32, Emulated GPU, compute 8\.9/m,
      );
      const body = JSON.stringify(SERVED);
      const response = await backend.post(body);
      assert.equal(response.status, 200, response.ok ? '' : await response.text());
      const events = await readEvents(response);
      assert.deepEqual(
        closingEvents(events).map(({ type }) => type),
        ['end'],
      );
      assert.equal(tokenIdsOf(events).length, SERVED.max_tokens);
    } finally {
      await backend.stop();
    }
    assert.deepEqual(
      readLog(log).flatMap(({ errors }) => errors),
      [],
    );
  });
}
