import { basename } from 'node:path';
import { parseCudaOptions } from '../../device/cuda/options.ts';
import type { ModelSession } from '../../device/device.ts';
import { findGpu, openModel } from '../../device/open.ts';
import type { OpenOptions } from '../../device/open.ts';
import type { Choice } from '../../device/choose.ts';
import { GPU_DEVICES } from '../../device/names.ts';
import { loadModelFolder } from '../../model/folder.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { availableBytes, countParameters, describeMemory, leastBytes } from '../../model/memory.ts';
import { heldBytes, slotCurve, threadCosts } from './costs.ts';
import { goldenNumbers } from './golden.ts';
import { checkLaw } from './law.ts';
import { doctorPrompts } from './prompts.ts';
import { taskSchema } from './task.ts';
import type { Findings, Law, ModelFindings, ModelTask, Task } from './task.ts';

// The process that examines one device: takes its task as an argument, prints its findings as the last line.

const SMALL_BYTES = 2 ** 30;

const task = taskSchema.parse(JSON.parse(process.argv[2] ?? ''));
process.stdout.write(`\n${JSON.stringify(await examine(task))}\n`);

async function examine(given: Task): Promise<Findings> {
  const { device } = given;
  const cuda = parseCudaOptions(given.cuda);
  const golden: Findings['golden'] = [];
  const found: Findings = { device, golden };
  const gpu = GPU_DEVICES.find((each) => each === device);
  let freeBytes: number | undefined;
  if (gpu !== undefined) {
    const finding = await findGpu(gpu, { numThreads: 1, cuda });
    if ('absence' in finding) return { ...found, absence: finding.absence };
    found.hardware = finding.hardware;
    freeBytes = finding.freeBytes;
  }
  try {
    const options: OpenOptions = { numThreads: 1, device, precision: given.precision, cuda };
    for (const fixture of given.fixtures) golden.push(await goldenNumbers(fixture, options));
    if (given.model === undefined) return found;
    return { ...found, model: await examineModel(given.model, { ...given, freeBytes }, options) };
  } catch (error) {
    return { ...found, failure: error instanceof Error ? error.message : String(error) };
  }
}

async function examineModel(
  model: ModelTask,
  { fixtures, freeBytes = availableBytes() }: { fixtures: readonly string[]; freeBytes: number | undefined },
  common: OpenOptions,
): Promise<ModelFindings> {
  const folder = loadModelFolder(model.path, model.options);
  const { numThreads } = model;
  const heldBefore = heldBytes();
  let choice: Choice | undefined;
  const options = { ...common, numThreads };
  const session = await openModel(folder, { ...options, onChoice: (one) => (choice = one) });
  const held = heldBytes();
  try {
    if (choice === undefined) throw new Error('no device was chosen');
    const { need } = choice;
    const isOnCpu = session.gpu === undefined;
    return {
      name: folder.name,
      architecture: folder.config.architecture,
      numParameters: countParameters(folder),
      precision: `${choice.precision}${folder.quantization === undefined ? '' : `, weights ${folder.quantization}`}`,
      numThreads,
      memory: {
        statedBytes: leastBytes(need),
        statement: describeMemory(need),
        freeBytes,
        ...(isOnCpu && held !== undefined ? { foundBytes: Math.max(0, held - (heldBefore ?? 0)) } : {}),
      },
      curve: await slotCurve(session),
      threads: isOnCpu && need.weights < SMALL_BYTES ? await threadCosts(folder, common) : [],
      law: await lawOf(session, folder, { model, fixtures, options }),
    };
  } finally {
    await session.dispose();
  }
}

interface LawTask {
  readonly model: ModelTask;
  readonly fixtures: readonly string[];
  readonly options: OpenOptions;
}

/** The model's own texts; of one without a diffusion mode a fixture's, which say the same of the device. */
async function lawOf(
  session: ModelSession,
  folder: ModelFolder,
  { model, fixtures, options }: LawTask,
): Promise<Law> {
  const { numPrompts, maxTokens, timeLimitMs } = model;
  const limits = { maxTokens, timeLimitMs, plans: ['dense', 'auto'] } as const;
  const [fixture] = fixtures;
  if (folder.config.tidar !== undefined || fixture === undefined)
    return checkLaw(session, { model: folder.name, prompts: doctorPrompts(folder, numPrompts), ...limits });
  const other = loadModelFolder(fixture);
  const own = await openModel(other, { ...options, precision: undefined });
  try {
    return await checkLaw(own, {
      model: basename(fixture),
      prompts: doctorPrompts(other, numPrompts),
      ...limits,
    });
  } finally {
    await own.dispose();
  }
}
