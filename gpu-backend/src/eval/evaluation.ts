import { createHash } from 'node:crypto';
import { FlagError } from '../cli/flags.ts';
import { findAbilities } from './abilities.ts';
import type { EvalFlags } from './flags.ts';
import { makeFigures } from './figures.ts';
import type { Figures } from './figures.ts';
import { openModels } from './models.ts';
import type { ModelPaths, Models } from './models.ts';
import { showProgress } from './progress.ts';
import { ResultsFile } from './results-file.ts';
import { AR_ROW, isPlanned } from './rows.ts';
import type { Row } from './rows.ts';
import { evaluate } from './run.ts';
import type { Plan } from './run.ts';
import { assertMayRun, loadTaskFile, loadTaskFlag, SHIPPED_TASKS } from './tasks/load.ts';
import type { Task } from './tasks/load.ts';

/** Changes with the meaning of a results file's lines. */
const RESULTS_VERSION = 1;
/** Of rows that a model without masks won't run. */
const USUAL_BLOCK_SIZE = 16;

export interface Evaluation {
  readonly figures: Figures;
  readonly models: { readonly main: ModelFacts; readonly arOnly?: ModelFacts; readonly draft?: ModelFacts };
  /** Every answer, one item a line. */
  readonly answersFile: string;
}

export interface ModelFacts {
  readonly name: string;
  readonly contentHash: string;
  readonly blockSize: number | undefined;
}

export function chooseTasks({ tasksFile, taskTexts, only, runCode }: EvalFlags): Task[] {
  if (tasksFile !== undefined && taskTexts.length > 0)
    throw new FlagError('Give --tasks or --task, not both.');
  const all = taskTexts.length > 0 ? taskTexts.map(loadTaskFlag) : loadTaskFile(tasksFile ?? SHIPPED_TASKS);
  const names = all.map(({ spec }) => spec.name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new FlagError(`--task: two files are called ${twice}.`);
  const unknown = only?.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new FlagError(`--only: no task ${unknown}; there are ${names.join(', ')}.`);
  const tasks = all.filter(({ spec }) => only === undefined || only.includes(spec.name));
  assertMayRun(tasks, runCode);
  return tasks;
}

/** Those that are named, and plain decoding, which all others are measured against. */
export function chooseRows(rows: readonly Row[], names: readonly string[] | undefined): Row[] {
  const known = rows.map(({ id }) => id);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new FlagError(`--rows: no row ${unknown}; there are ${known.join(', ')}.`);
  return rows.filter(({ id }) => names === undefined || id === AR_ROW || names.includes(id));
}

/** Runs what is left of an evaluation, and sums it up. */
export async function runEvaluation(
  paths: ModelPaths,
  tasks: readonly Task[],
  rowsOf: (blockSize: number) => Row[],
  flags: EvalFlags,
): Promise<Evaluation> {
  const models = await openModels(paths, rowsOf(USUAL_BLOCK_SIZE).some(isPlanned));
  try {
    const { limits, seed, temperature } = flags;
    const rows = rowsOf(models.main.folder.config.tidar?.blockSize ?? USUAL_BLOCK_SIZE);
    const plan: Plan = { tasks, rows, limits, seed, temperature };
    const abilities = await findAbilities(plan.rows, plan.tasks, models);
    const results = ResultsFile.open(flags.results, nameOf(plan, models, paths), flags.fresh);
    if (results.numLines > 0)
      process.stderr.write(
        `going on from ${results.numLines} items of an interrupted run; --fresh starts anew\n`,
      );
    await evaluate(plan, models, abilities, { results, onItem: showProgress() });
    const figures = makeFigures(plan, abilities, results);
    return { figures, models: factsOf(models), answersFile: results.finish() };
  } finally {
    await models.dispose();
  }
}

/** All that decides an item's line, its rows apart. */
function nameOf(
  { tasks, seed, temperature }: Plan,
  { main, arOnly, draft }: Models,
  paths: ModelPaths,
): string {
  const parts = [
    RESULTS_VERSION,
    ...[main.folder, arOnly?.folder, draft].map((folder) => folder?.contentHash ?? ''),
    ...tasks.map(({ hash }) => hash),
    ...[seed, temperature, paths.numThreads],
    ...(main.gpu === undefined ? [] : [main.gpu.device, main.gpu.precision, main.gpu.hardware]),
  ];
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

function factsOf({ main, arOnly, draft }: Models): Evaluation['models'] {
  const facts = ({ name, contentHash, config }: Models['main']['folder']): ModelFacts => {
    return { name, contentHash, blockSize: config.tidar?.blockSize };
  };
  return {
    main: facts(main.folder),
    ...(arOnly === undefined ? {} : { arOnly: facts(arOnly.folder) }),
    ...(draft === undefined ? {} : { draft: facts(draft) }),
  };
}
