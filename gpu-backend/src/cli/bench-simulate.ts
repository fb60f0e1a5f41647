import { readFileSync } from 'node:fs';
import { Planner } from '../engine/planner/planner.ts';
import type { NamedPlan } from '../engine/planner/named-plans.ts';
import { recordingSchema } from '../engine/planner/recording.ts';
import type { RecordedBlock, Recording } from '../engine/planner/recording.ts';
import { namedPolicy, PlannerPolicy } from '../engine/planner/simulated-policies.ts';
import { CPU_CURVE, CURVE_CONTEXT_TOKENS, H100_CURVE, latencyOf } from '../engine/planner/slot-curve.ts';
import type { SlotCurve } from '../engine/planner/slot-curve.ts';
import { simulate } from '../engine/planner/simulation.ts';
import type { SimulatedPolicy, SimulatedText } from '../engine/planner/simulation.ts';
import { FlagError, numberFlag, parseFlags, stringFlag, wholeNumber } from './flags.ts';

export const SIMULATE_HELP = `Simulates plans on slot curves and recorded acceptance. No model runs: nothing here is a measurement.

  npm run bench -- simulate --acceptance recording.json

  --acceptance PATH  recorded acceptance of a model (required)
  --repetitions N    of every recorded text (5)
  --json             the cells as JSON
  --help             this text`;

const FLAGS = {
  acceptance: { type: 'string' },
  repetitions: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export interface NamedCurve {
  readonly name: string;
  readonly points: SlotCurve;
}

export const SLOT_CURVES: readonly NamedCurve[] = [
  { name: 'H100, published slot curve; a plain step is 1', points: H100_CURVE },
  { name: 'one CPU core, 5.3M parameters, measured once; ms', points: CPU_CURVE },
];

const CONTENDERS: readonly { name: NamedPlan; draftLengths: readonly number[] }[] = [
  { name: 'dense', draftLengths: [4, 8, 16] },
  { name: 'sparse', draftLengths: [8, 16] },
  { name: 'branches', draftLengths: [8, 16] },
  { name: 'two-pass', draftLengths: [8, 16] },
];
export const BATCH_SIZES = [1, 2, 4, 8, 16, 32];

export interface SimulatedCell {
  readonly curve: string;
  readonly plan: string;
  readonly numSequences: number;
  /** Tokens per second over plain decoding's (two rows at least), same batch. */
  readonly speedup: number;
  readonly tokensPerForward: number;
  readonly rowsPerSequence: number;
}

/** Every plan at every batch size on every curve. The planner begins each cell with nothing learned. */
export function benchSimulate(recording: Recording, numRepetitions: number): SimulatedCell[] {
  const texts = textsOf(recording, numRepetitions);
  return SLOT_CURVES.flatMap((curve) =>
    BATCH_SIZES.flatMap((numSequences) => simulateBatch(texts, recording.blockSize, curve, numSequences)),
  );
}

/** `npm run bench -- simulate …`, with the arguments after "simulate". */
export function simulateCommand(args: readonly string[]): void {
  const flags = parseFlags(args, FLAGS);
  if (flags.values['help'] === true) return void process.stdout.write(`${SIMULATE_HELP}\n`);
  const path = stringFlag(flags, 'acceptance');
  if (path === undefined)
    throw new FlagError('--acceptance must name a recording; none comes with the code.');
  const recording = readRecording(path);
  const cells = benchSimulate(recording, numberFlag(flags, 'repetitions', 5, wholeNumber(1, 1000)));
  const isJson = flags.values['json'] === true;
  process.stdout.write(isJson ? `${JSON.stringify(cells)}\n` : `${report(recording, cells)}\n`);
}

function readRecording(path: string): Recording {
  try {
    return recordingSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new FlagError(`--acceptance must name a recording of acceptance; ${path} is none: ${reason}`);
  }
}

function textsOf({ sequences }: Recording, numRepetitions: number): SimulatedText[] {
  const nothing: RecordedBlock = { margins: [], hits: [], end: -1 };
  const texts = sequences.map(({ numTokens, blocks }) => {
    return { numTokens, block: (known: number): RecordedBlock => blocks[known] ?? nothing };
  });
  return Array.from({ length: numRepetitions }, () => texts).flat();
}

function simulateBatch(
  texts: readonly SimulatedText[],
  blockSize: number,
  curve: NamedCurve,
  numSequences: number,
): SimulatedCell[] {
  const run = (plan: string, policy: SimulatedPolicy, maxMaskTokens: number) => {
    const latency = latencyOf(curve.points);
    const milliseconds = (numRows: number, sequences: number): number =>
      latency.milliseconds(numRows, sequences, CURVE_CONTEXT_TOKENS);
    return { plan, result: simulate(texts, policy, { numSequences, maxMaskTokens, milliseconds }) };
  };
  const plain = run('ar', namedPolicy('ar', 1), 1);
  const named = CONTENDERS.flatMap(({ name, draftLengths }) =>
    draftLengths
      .filter((length) => length <= blockSize)
      .map((length) => run(`${name} k=${length}`, namedPolicy(name, length), length)),
  );
  const planner = new Planner(latencyOf(curve.points), { maxDraftRows: blockSize });
  const auto = run('auto', new PlannerPolicy(planner, CURVE_CONTEXT_TOKENS), blockSize);
  return [plain, ...named, auto].map(({ plan, result }) => ({
    curve: curve.name,
    plan,
    numSequences,
    speedup: result.tokensPerSecond / plain.result.tokensPerSecond,
    tokensPerForward: result.numTokens / result.numForwardPasses,
    rowsPerSequence: result.numRows / result.numForwardPasses,
  }));
}

function report(recording: Recording, cells: readonly SimulatedCell[]): string {
  const lines = [
    `SIMULATION: no model ran. Acceptance recorded from ${recording.model} (${recording.sequences.length} texts), prefill not counted;`,
    'blocks shorter than recorded are taken to be the start of those recorded; auto begins each column with nothing learned.',
    'Tokens/s ÷ plain decoding’s (two rows at least, same batch), and tokens per forward in brackets.',
  ];
  for (const { name } of SLOT_CURVES) {
    const ofCurve = cells.filter(({ curve }) => curve === name);
    const plans = [...new Set(ofCurve.map(({ plan }) => plan))];
    lines.push(
      '',
      name,
      `${'plan'.padEnd(14)}${BATCH_SIZES.map((size) => `batch ${size}`.padStart(14)).join('')}`,
    );
    for (const plan of plans) {
      const row = BATCH_SIZES.map((size) => {
        const cell = ofCurve.find((one) => one.plan === plan && one.numSequences === size);
        return cell === undefined ? '' : `${cell.speedup.toFixed(2)} (${cell.tokensPerForward.toFixed(2)})`;
      });
      lines.push(`${plan.padEnd(14)}${row.map((text) => text.padStart(14)).join('')}`);
    }
  }
  return lines.join('\n');
}
