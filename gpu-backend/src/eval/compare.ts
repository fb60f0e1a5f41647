import { table } from '../cli/bench/command.ts';
import { runEvaluation } from './evaluation.ts';
import type { Evaluation } from './evaluation.ts';
import type { EvalFlags } from './flags.ts';
import { AR_ROW, comparisonRows } from './rows.ts';
import { isGenerative } from './run.ts';
import type { Estimate } from './statistics.ts';
import type { Task } from './tasks/load.ts';

export interface Comparison {
  readonly lines: string[];
  readonly evaluations: readonly (Evaluation & { readonly folder: string })[];
}

/** Several models, each at several draft lengths: block sizes of training against those of decoding. */
export async function compareModels(
  folders: readonly string[],
  tasks: readonly Task[],
  flags: EvalFlags,
): Promise<Comparison> {
  const rowsOf = () => comparisonRows(flags.draftLengths);
  const { numThreads } = flags;
  const judged = tasks.filter(isGenerative);
  const evaluations: (Evaluation & { folder: string })[] = [];
  for (const folder of folders) {
    process.stderr.write(`${folder}\n`);
    const paths = { main: folder, arOnly: undefined, draft: undefined, numThreads };
    evaluations.push({ folder, ...(await runEvaluation(paths, judged, rowsOf, flags)) });
  }
  return { lines: comparisonTable(evaluations, flags.draftLengths), evaluations };
}

function comparisonTable(evaluations: Comparison['evaluations'], draftLengths: readonly number[]): string[] {
  const header = ['model', 'block size', 'score, %', ...draftLengths.map((length) => `t/nfe at ${length}`)];
  const rows = evaluations.map(({ folder, models, figures }) => {
    const meanOf = (id: string) => figures.rows.find((row) => row.id === id)?.mean;
    const ar = meanOf(AR_ROW);
    return [
      folder,
      String(models.main.blockSize ?? '-'),
      ar === undefined ? '-' : `${(100 * ar.score).toFixed(1)} ±${(100 * ar.scoreHalfWidth).toFixed(1)}`,
      ...draftLengths.map((length) => showEstimate(meanOf(`tidar-${length}`)?.tokensPerForward)),
    ];
  });
  return [
    ...table(header, rows),
    '',
    'The dense layout; its text, and so its score, is AR mode’s at every draft length (asserted). Means over the tasks.',
  ];
}

function showEstimate(estimate: Estimate | undefined): string {
  if (estimate === undefined) return '-';
  const { value, low, high } = estimate;
  return `${value.toFixed(2)} ±${Math.max(value - low, high - value).toFixed(2)}`;
}
