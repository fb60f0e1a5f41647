import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';
import { LIBRARY_FOLDER, libraryPlace } from '../../gpu-backend/src/device/c-api/library.ts';
import { BackendProcess, closingEvents, readEvents, tokenIdsOf } from '../support/backend-process.ts';
import { readLog } from './log.ts';
import type { Phase } from './log.ts';
import { allForms, fewForms } from './models.ts';
import type { ChoiceTold } from './programs/choice.ts';
import type { ColumnsTold } from './programs/columns.ts';
import type { RefusalTold } from './programs/refusal.ts';
import type { StepsAsked, StepsTold } from './programs/steps.ts';
import { emulatedEnvironment, runProgram } from './run.ts';
import type { Emulation } from './run.ts';

/** One law of the CUDA device. It throws where it doesn't hold, and may tell a figure. */
export interface Check {
  readonly title: string;
  readonly run: (emulation: Emulation, extent: Extent) => Promise<string | void> | string | void;
}

/** Every form of graph, or few, for tests that run with all others. */
export type Extent = 'all' | 'few';

const FIXTURE = join(REPOSITORY, 'test', 'fixtures', 'llama-tidar');
const ALL_DEVICES_BYTES = 8 * 2 ** 30;

export const CHECKS: readonly Check[] = [
  {
    title: 'every node of a step is on CUDA, and a step copies its inputs and outputs and nothing else',
    run: steps,
  },
  { title: 'a node without a CUDA kernel is refused, not run on the CPU', run: refusal },
  {
    title: 'each shape that comes again is captured once and replayed, over the same inputs and outputs',
    run: graphs,
  },
  { title: 'columns move within the GPU, as they move on the host, and new caches are zero', run: columns },
  { title: 'a text is decoded from prompt to end, while its cache grows', run: generation },
  { title: 'the backend serves a text, and tells the device and why', run: serving },
  { title: 'what is missing is told in one sentence with the command that installs it', run: absences },
  { title: 'auto takes the CPU where CUDA cannot be used, and tells why', run: fallback },
];

function withFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'tidar-cuda-check-'));
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const result = work(folder);
    if (result instanceof Promise) return result.finally(clean) as T;
    clean();
    return result;
  } catch (error) {
    clean();
    throw error;
  }
}

function runSteps(emulation: Emulation, asked: StepsAsked): { told: StepsTold; phases: readonly Phase[] } {
  const ran = runProgram<StepsTold>(emulation, 'steps', asked);
  assert.deepEqual(
    ran.phases.flatMap(({ errors }) => errors),
    [],
  );
  return ran;
}

/** What a step copied beyond what it is given and what it gives. */
function surplus({ name, toDevice, toHost, withinDevice }: Phase, { expected }: StepsTold): number {
  const { inputs = NaN, outputs = NaN } = expected[name] ?? {};
  assert.equal(
    toDevice >= inputs && toHost >= outputs,
    true,
    `${name} copied ${toDevice} and ${toHost} bytes, less than ${inputs} and ${outputs}`,
  );
  return toDevice - inputs + (toHost - outputs) + withinDevice;
}

export const isRun = ({ name }: Phase): boolean => name.startsWith('run ');

function steps(emulation: Emulation, extent: Extent): string {
  return withFolder((folder) => {
    const models = extent === 'all' ? allForms(folder) : fewForms(folder);
    const asked = { models, graphs: 'off', capacities: [32, 256], numRuns: 2 } as const;
    const { told, phases } = runSteps(emulation, asked);
    const runs = phases.filter(isRun);
    assert.equal(runs.length, Object.keys(told.expected).length);
    for (const phase of runs) {
      const label = models[Number(phase.name.split(' ')[1])]?.label ?? '';
      assert.equal(
        surplus(phase, told),
        0,
        `${label}: ${phase.name} copies more than its inputs and outputs`,
      );
      assert.ok(phase.numLaunches > 20, `${label}: ${phase.name} launches ${phase.numLaunches} kernels`);
    }
    assert.equal(new Set(told.precisions).size, 3);
    return `${models.length} graphs in float32, float16 and bfloat16, ${runs.length} steps`;
  });
}

function refusal(emulation: Emulation): void {
  const attempt = (opType: string): RefusalTold =>
    runProgram<RefusalTold>(emulation, 'refusal', { opType }).told;
  assert.equal(attempt('Softmax').text, undefined);
  assert.match(attempt('Det').text ?? '', /fallback|CPU EP/i);
}

function graphs(emulation: Emulation, extent: Extent): string {
  return withFolder((folder) => {
    const models = extent === 'all' ? allForms(folder) : fewForms(folder).slice(0, 2);
    const [capacities, numRuns] = [[32, 128], 7];
    const { told, phases } = runSteps(emulation, { models, graphs: 'on', capacities, numRuns });
    const runs = phases.filter(isRun);
    const captures = runs.filter(({ numCaptures }) => numCaptures > 0);
    // Two shapes of each cache, and of the first again: what they read has moved.
    const numCaptures = models.length * 2 * (capacities.length + 1);
    assert.equal(captures.length, numCaptures, 'each shape of each cache is captured once');
    assert.ok(captures.every((phase) => phase.numCaptures === 1 && phase.numCapturedLaunches > 20));
    const capturing = Number(captures[0]?.name.split(' ').at(-1));
    for (const phase of runs) {
      const run = Number(phase.name.split(' ').at(-1));
      assert.equal(surplus(phase, told), 0, `${phase.name} copies more than its inputs and outputs`);
      if (run < capturing) assert.equal(phase.numGraphLaunches, 0);
      else assert.equal(phase.numGraphLaunches, 1, `${phase.name} launches its graph once`);
      if (run > capturing)
        assert.equal(phase.numLaunches, 0, `${phase.name} launches kernels beside its graph`);
    }
    return `${captures.length} shapes captured, ${runs.filter(({ numGraphLaunches }) => numGraphLaunches > 0).length} graph launches`;
  });
}

function columns(emulation: Emulation): void {
  const filled = { CUDA_EMULATOR_FILL: '255' };
  const { told, phases } = runProgram<ColumnsTold>(emulation, 'columns', { path: FIXTURE }, filled);
  assert.deepEqual([told.numSoiled, told.numDifferent], [0, 0]);
  for (const [name, numColumns] of Object.entries(told.moved)) {
    const phase = phases.find((each) => each.name === name);
    assert.ok(phase !== undefined);
    const { toDevice, toHost, withinDevice, isSettled } = phase;
    assert.deepEqual([toDevice, toHost, withinDevice], [0, 0, numColumns * told.numBytesPerColumn], name);
    assert.ok(isSettled, `${name}: the next run may begin before the copy ends`);
  }
}

const PROMPT = Array.from({ length: 150 }, (_, at) => at % 46);
const NUM_TOKENS = 80;

/** The real command, twice: with graphs and without, by drafts and plainly. */
function generation(emulation: Emulation, extent: Extent): string {
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

async function serving(emulation: Emulation): Promise<void> {
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

/** What a person may lack, in the order in which it is looked at. */
function absences(emulation: Emulation): string {
  const { version } = libraryPlace();
  return withFolder((folder) => {
    const spoiled = (name: string, files: readonly string[], content?: string): string => {
      const path = join(folder, name);
      const source = emulation.onnxruntime;
      spawnSync('mkdir', ['-p', path]);
      for (const file of files) symlinkSync(join(source, file), join(path, file));
      if (content !== undefined) writeFileSync(join(path, 'libonnxruntime_providers_cuda.so'), content);
      return path;
    };
    const [runtime, shared] = [libraryPlace().file, 'libonnxruntime_providers_shared.so'];
    const cases: [Record<string, string>, RegExp, cuda?: string][] = [
      [{ [LIBRARY_FOLDER]: spoiled('none', [runtime]) }, /is not installed .*install\.js` installs it\.$/],
      [
        { [LIBRARY_FOLDER]: spoiled('other', [runtime, shared], '\0' + '1.28.0\0') },
        new RegExp(`is not of onnxruntime ${version}, .*install\\.js\` installs the one that is\\.$`),
      ],
      [{ CUDA_EMULATOR_FAULT: 'no-device' }, /^NVIDIA’s driver finds no GPU; `nvidia-smi -L` lists/],
      [
        { CUDA_EMULATOR_FAULT: 'old-driver' },
        /^NVIDIA’s driver is for CUDA 12\.4, and 13 is needed: `sudo apt-get install cuda-drivers`/,
      ],
      [
        { CUDA_EMULATOR_FAULT: 'broken-driver' },
        /^NVIDIA’s driver does not start \(CUDA error 999\): `sudo apt-get install cuda-drivers`/,
      ],
      [{}, /^There is no GPU 3: `nvidia-smi -L` lists 1, from 0 on\.$/, 'device=3'],
      [
        { CUDA_EMULATOR_MEMORY: String(2 ** 20) },
        /^llama-tidar does not fit: it needs \d+ MiB .* and 1\.0 MiB are free\.$/,
      ],
      [
        { LD_LIBRARY_PATH: spoiledLibraries(emulation, folder, ['libcuda.so.1', 'libcudart.so.13']) },
        /^libcublasLt\.so\.13, libcublas\.so\.13, libcurand\.so\.10 of CUDA 13 are missing: `sudo apt-get install cuda-libraries-13-0`/,
      ],
    ];
    for (const [env, sentence, cuda] of cases) {
      const asked = { path: FIXTURE, device: 'cuda', ...(cuda === undefined ? {} : { cuda }) };
      const { refusal: told = '' } = runProgram<ChoiceTold>(emulation, 'choice', asked, env).told;
      assert.match(told, sentence);
    }
    return `${cases.length} sentences`;
  });
}

/** A folder with some of the emulated libraries only. */
function spoiledLibraries({ libraries }: Emulation, folder: string, kept: readonly string[]): string {
  const path = join(folder, 'libraries');
  spawnSync('mkdir', ['-p', path]);
  for (const name of kept) symlinkSync(join(libraries, name), join(path, name));
  return path;
}

function fallback(emulation: Emulation): void {
  const asked = { path: FIXTURE, device: 'auto' };
  const here = runProgram<ChoiceTold>(emulation, 'choice', asked).told.lines ?? [];
  assert.match(here[0]?.[1] ?? '', /^cuda \(Emulated GPU/);
  const old =
    runProgram<ChoiceTold>(emulation, 'choice', asked, { CUDA_EMULATOR_FAULT: 'old-driver' }).told.lines ??
    [];
  assert.match(old[0]?.[1] ?? '', /^(c-api|webgpu) \(/);
  assert.match(old.find(([label]) => label === 'not cuda')?.[1] ?? '', /driver is for CUDA 12\.4/);
  const small = { CUDA_EMULATOR_MEMORY: String(ALL_DEVICES_BYTES >> 20) };
  const full = runProgram<ChoiceTold>(emulation, 'choice', asked, small).told.lines ?? [];
  assert.match(full.find(([label]) => label === 'not cuda')?.[1] ?? '', /does not fit on the Emulated GPU/);
}
