import { table } from '../cli/bench/command.ts';
import { deviceOf } from './models.ts';
import { runEvaluation } from './evaluation.ts';
import type { Evaluation } from './evaluation.ts';
import type { EvalFlags } from './flags.ts';
import { meanScore, plusMinus } from './report.ts';
import { AR_ROW, comparisonRows } from './rows.ts';
import { isGenerative } from './run.ts';
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
  const { numThreads, quantize } = flags;
  const judged = tasks.filter(isGenerative);
  const evaluations: (Evaluation & { folder: string })[] = [];
  for (const folder of folders) {
    process.stderr.write(`${folder}\n`);
    const paths = {
      main: folder,
      arOnly: undefined,
      draft: undefined,
      numThreads,
      quantize,
      device: deviceOf(flags),
    };
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
      ar === undefined ? '-' : meanScore(ar),
      ...draftLengths.map((length) => {
        const mean = meanOf(`tidar-${length}`);
        return mean === undefined ? '-' : plusMinus(mean.tokensPerForward);
      }),
    ];
  });
  return [
    ...table(header, rows),
    '',
    'The dense layout; its text, and so its score, is AR mode’s at every draft length (asserted). Means over the tasks.',
  ];
}
