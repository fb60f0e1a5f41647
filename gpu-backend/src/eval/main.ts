/** `npm run eval`: the paper's comparison on any model folder. */
import { existsSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { caption, machine } from '../cli/bench/command.ts';
import { tellChoice } from '../cli/device-flags.ts';
import { runCommand } from '../cli/flags.ts';
import { DEMO_MODEL } from '../cli/open-model.ts';
import { findDevice } from '../device/open.ts';
import { outlineFolder } from '../model/folder.ts';
import { compareModels } from './compare.ts';
import { chooseRows, chooseTasks, runEvaluation } from './evaluation.ts';
import { EVAL_HELP, readEvalFlags } from './flags.ts';
import type { EvalFlags } from './flags.ts';
import { AR_ONLY_MODEL, companion, deviceOf, DRAFT_MODEL } from './models.ts';
import { report } from './report.ts';
import { tableRows } from './rows.ts';
import type { Task } from './tasks/load.ts';

await runCommand('eval', async () => {
  const asked = readEvalFlags(process.argv.slice(2));
  if (asked.help) return console.log(EVAL_HELP);
  const tasks = chooseTasks(asked);
  const flags = await withFoundDevice(asked);
  if (flags.compare === undefined) await evaluateOne(tasks, flags);
  else await compareAll(flags.compare, tasks, flags);
});

async function evaluateOne(tasks: readonly Task[], flags: EvalFlags): Promise<void> {
  const { model, numThreads } = flags;
  const isDemo = isSamePath(model, DEMO_MODEL);
  const paths = {
    main: model,
    arOnly: companion(flags.arOnly, AR_ONLY_MODEL, isDemo),
    draft: companion(flags.draftModel, DRAFT_MODEL, isDemo),
    quantize: flags.quantize,
    numThreads,
    device: deviceOf(flags),
  };
  const rowsOf = (blockSize: number) => chooseRows(tableRows(blockSize), flags.rows);
  const evaluation = await runEvaluation(paths, tasks, rowsOf, flags);
  const { figures, models, answersFile } = evaluation;
  const lines = report(figures, tasks);
  const heading = `${models.main.name}, ${settings(flags)}`;
  console.log([heading, machineOf(flags), `Answers: ${answersFile}`, '', ...lines].join('\n'));
  writeJson(flags, {
    ...about(flags),
    models,
    tasks: tasks.map(describe),
    ...figures,
    lastLine: lines.at(-1),
  });
  if (flags.plot === undefined) return;
  const { drawQuality, drawTrust } = await import('./plots.ts'); // half a second
  const title = (what: string): string => `${what} · npm run eval -- --plot ${flags.plot}`;
  const subtitle = caption(heading, flags);
  writeFileSync(`${flags.plot}-quality.svg`, drawQuality(figures.rows, title('Quality and speed'), subtitle));
  writeFileSync(
    `${flags.plot}-trust.svg`,
    drawTrust(figures.rows, title('Trust in the causal rows'), subtitle),
  );
}

async function compareAll(
  folders: readonly string[],
  tasks: readonly Task[],
  flags: EvalFlags,
): Promise<void> {
  const { lines, evaluations } = await compareModels(folders, tasks, flags);
  console.log([settings(flags), machineOf(flags), '', ...lines].join('\n'));
  const models = evaluations.map(({ folder, models: { main }, figures }) => ({
    folder,
    ...main,
    ...figures,
  }));
  writeJson(flags, { ...about(flags), tasks: tasks.map(describe), models });
}

/** What decides the figures beside models and tasks; nothing in it differs between a run and its repetition. */
function about({ limits, seed, temperature }: EvalFlags): object {
  return { limits, seed, temperature };
}

function describe({ spec: { name, type, isInDomain }, items, hash }: Task): object {
  return { name, type, isInDomain, numItems: items.length, hash };
}

function settings({ temperature, seed, quantize }: EvalFlags): string {
  const bits = quantize === undefined ? '' : `${quantize}, `;
  return `${bits}${temperature === 0 ? 'greedy' : `temperature ${temperature}, seed ${seed}`}`;
}

/** The device that `auto` finds in its place: figures name what they were measured on. */
async function withFoundDevice(flags: EvalFlags): Promise<EvalFlags> {
  const path = flags.compare?.[0] ?? flags.model;
  // A missing folder is told with its flag when it is opened.
  if (flags.device !== 'auto' || !existsSync(join(path, 'config.json'))) return flags;
  const choice = await findDevice(outlineFolder(path, { quantize: flags.quantize }), flags);
  tellChoice(choice);
  return { ...flags, device: choice.device };
}

function machineOf({ numThreads, device }: EvalFlags): string {
  return `${new Date().toISOString().slice(0, 10)}, ${machine({ numThreads, device })}`;
}

function writeJson(flags: EvalFlags, content: object): void {
  if (flags.json === undefined) return;
  writeFileSync(flags.json, `${JSON.stringify({ machine: machineOf(flags), ...content }, null, 2)}\n`);
}

function isSamePath(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false; // a missing folder is told when it is opened
  }
}
