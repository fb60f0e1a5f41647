import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AUTO_DEVICES, CPU_DEVICES, GPU_DEVICES } from '../device/names.ts';
import { outlineFolder } from '../model/folder.ts';
import { availableBytes } from '../model/memory.ts';
import { DEVICE_FLAGS, DEVICE_FLAGS_HELP, parseDeviceFlags } from './device-flags.ts';
import { callersFolder } from './environment.ts';
import {
  assertNoStray,
  FlagError,
  numberFlag,
  parseFlags,
  runCommand,
  stringFlag,
  wholeNumber,
} from './flags.ts';
import type { ParsedFlags } from './flags.ts';
import { FOLDER_FLAGS, FOLDER_HELP, parseFolderFlags, withResolvedAdapter } from './folder-flags.ts';
import { DEMO_MODEL } from './open-model.ts';
import { recommend, whatWouldFit } from './doctor/advice.ts';
import { examineDevice } from './doctor/child.ts';
import { describeMachine } from './doctor/machine.ts';
import { MAX_PROMPTS } from './doctor/prompts.ts';
import { markdown } from './doctor/report.ts';
import type { DoctorReport } from './doctor/report.ts';
import { EXAMINED_DEVICES } from './doctor/task.ts';
import type { Findings, Task } from './doctor/task.ts';
import { problemsOf } from './doctor/verdict.ts';

const HELP = `Examines this machine: which devices it has, whether they compute the right numbers, whether TiDAR's texts are plain
decoding's on it, what a model takes and costs here. The report is Markdown, to be pasted.

  npm run doctor [-- flags]

  --model PATH         a model folder (the demo model)
${FOLDER_HELP}
${DEVICE_FLAGS_HELP}
  --threads N          threads of the forward pass on the CPU (as a server chooses)
  --prompts N          prompts whose texts are compared, at most ${MAX_PROMPTS} (${MAX_PROMPTS})
  --max-tokens N       length of each text (48)
  --time-limit S       no new prompt after so many seconds (600)
  --only               looks at no device but the one that is named
  --golden N           golden models that are computed on each device, at most 4 (4)
  --json               one object in place of the report
  --help               this text

Ends with 1 where something is wrong with a device that is there.`;

/** The repository's. */
const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/', import.meta.url));

await runCommand('doctor', main);

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const flags = parseFlags(process.argv.slice(2), {
    ...FOLDER_FLAGS,
    ...DEVICE_FLAGS,
    ...{ model: text, threads: text, prompts: text, 'max-tokens': text, 'time-limit': text, golden: text },
    only: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  if (flags.values['help'] === true) return void process.stdout.write(`${HELP}\n`);
  assertNoStray(flags);
  const report = await examine(flags);
  process.stdout.write(`${flags.values['json'] === true ? JSON.stringify(report) : markdown(report)}\n`);
  if (report.problems.length > 0) process.exitCode = 1;
}

/** Golden numbers on every device, then the model on the one that is asked for. */
async function examine(flags: ParsedFlags): Promise<DoctorReport> {
  const { precision } = parseDeviceFlags(flags);
  const model = modelTask(flags);
  const outline = outlineFolder(model.path, model.options);
  const golden = { cuda: stringFlag(flags, 'cuda') ?? '', fixtures: fixtures(flags) };
  const machine = describeMachine();
  const devices: Findings[] = [];
  for (const device of devicesToExamine(flags)) {
    tell(`looking at ${device}`);
    devices.push(await examineDevice({ ...golden, device }));
  }
  const device = chosenDevice(flags, devices);
  const found = devices.find((one) => one.device === device);
  if (found !== undefined && found.absence === undefined && found.failure === undefined) {
    tell(`running ${outline.name} on ${device}`);
    const { failure, model: findings } = await examineDevice({
      ...golden,
      fixtures: golden.fixtures.slice(0, 1),
      device,
      precision,
      model,
    });
    Object.assign(found, failure === undefined ? { model: findings } : { failure });
  }
  const smaller = isGpu(device) ? undefined : whatWouldFit(outline, availableBytes());
  const advice = [...(smaller === undefined ? [] : [smaller]), ...devices.flatMap(recommend)];
  return { machine, devices, advice, problems: [...absentProblems(found), ...devices.flatMap(problemsOf)] };
}

function isGpu(device: Findings['device']): boolean {
  return GPU_DEVICES.some((gpu) => gpu === device);
}

function devicesToExamine(flags: ParsedFlags): readonly Findings['device'][] {
  const { device } = parseDeviceFlags(flags);
  if (flags.values['only'] !== true) return EXAMINED_DEVICES;
  if (device === 'auto') throw new FlagError('--only needs a device that --device names.');
  return [device === 'cpu' ? CPU_DEVICES[0] : device];
}

/** What was named; `auto` is the first of its order that is there. */
function chosenDevice(flags: ParsedFlags, devices: readonly Findings[]): Findings['device'] {
  const { device } = parseDeviceFlags(flags);
  if (device === 'cpu') return CPU_DEVICES[0];
  if (device !== 'auto') return device;
  const isThere = (name: string): boolean =>
    devices.some((one) => one.device === name && one.absence === undefined && one.failure === undefined);
  return AUTO_DEVICES.find(isThere) ?? CPU_DEVICES[0];
}

/** Of a device that was asked for. */
function absentProblems(found: Findings | undefined): string[] {
  return found?.absence === undefined
    ? []
    : [`${found.device} was asked for and is not there: ${found.absence}`];
}

function modelTask(flags: ParsedFlags): NonNullable<Task['model']> {
  const from = callersFolder(process.env, 'doctor');
  const path = stringFlag(flags, 'model');
  return {
    path: path === undefined ? DEMO_MODEL : resolve(from, path),
    options: withResolvedAdapter(parseFolderFlags(flags), from),
    numThreads: numberFlag(flags, 'threads', defaultThreads(), wholeNumber(1, 256)),
    numPrompts: numberFlag(flags, 'prompts', MAX_PROMPTS, wholeNumber(1, MAX_PROMPTS)),
    maxTokens: numberFlag(flags, 'max-tokens', 48, wholeNumber(2)),
    timeLimitMs: 1000 * numberFlag(flags, 'time-limit', 600, wholeNumber(0)),
  };
}

/** As a server chooses. */
function defaultThreads(): number {
  return Math.max(1, Math.min(4, availableParallelism() - 1));
}

/** The repository's own models whose numbers an independent oracle computed. */
function fixtures(flags: ParsedFlags): string[] {
  const names = readdirSync(FIXTURES).filter((name) => name.endsWith('-tidar'));
  return names
    .slice(0, numberFlag(flags, 'golden', names.length, wholeNumber(1)))
    .map((name) => join(FIXTURES, name));
}

function tell(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${what} …\n`);
}
