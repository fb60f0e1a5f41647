import { formatBytes } from '../../model/memory.ts';
import type { Machine } from './machine.ts';
import type { Findings, Law, ModelFindings, Parting } from './task.ts';
import { isRight, problemsOf } from './verdict.ts';

export interface DoctorReport {
  readonly machine: Machine;
  readonly devices: readonly Findings[];
  readonly advice: readonly { readonly flag: string; readonly reason: string }[];
  readonly problems: readonly string[];
}

/** Markdown, to be pasted as it is. */
export function markdown({ machine, devices, advice, problems }: DoctorReport): string {
  const models = devices.filter(({ model }) => model !== undefined);
  return [
    '# Doctor’s report',
    '',
    ...machineLines(machine),
    '',
    '## Devices',
    '',
    ...table(['device', 'found', 'golden numbers, largest error', 'verdict'], devices.map(deviceRow)),
    ...models.flatMap(modelLines),
    '',
    '## Recommended',
    '',
    ...(advice.length === 0
      ? ['The defaults: no flags.']
      : advice.map(({ flag, reason }) => `- \`${flag}\`: ${reason}.`)),
    '',
    '## Verdict',
    '',
    ...(problems.length === 0
      ? ['Nothing that was looked at is wrong.']
      : problems.map((problem) => `- ${problem}`)),
  ].join('\n');
}

function machineLines(machine: Machine): string[] {
  const { node, system, processor, numCores, load, memoryBytes, freeBytes, onnxruntime } = machine;
  return [
    `- ${processor}, ${numCores} cores (load ${load.toFixed(1)}), ${formatBytes(memoryBytes)} of memory, ${formatBytes(freeBytes)} free`,
    `- ${system}; Node ${node}; onnxruntime ${onnxruntime}`,
  ];
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)];
}

function deviceRow(findings: Findings): string[] {
  const { device, hardware, absence, golden } = findings;
  if (absence !== undefined) return [device, `no: ${absence}`, '', ''];
  const errors = golden.map(({ causalError, stepError }) => Math.max(causalError, stepError));
  const worst =
    errors.length === 0
      ? ''
      : `${Math.max(...errors).toExponential(1)} of ${golden[0]?.limit ?? 0} allowed, ${golden.length} models`;
  const problems = problemsOf(findings);
  const isWell = problems.length === 0 && golden.every(isRight);
  return [device, hardware ?? 'yes', worst, isWell ? 'right' : problems.join(' ')];
}

function modelLines({ device, model }: Findings): string[] {
  if (model === undefined) return [];
  return [
    '',
    `## ${model.name} on ${device}`,
    '',
    `${model.architecture}, ${model.numParameters.toLocaleString('en')} parameters, ${model.precision}, ${model.numThreads} thread(s).`,
    '',
    ...memoryLines(model),
    '',
    ...lawLines(model.law),
    '',
    ...curveLines(model),
  ];
}

function memoryLines({ memory }: ModelFindings): string[] {
  const { statedBytes, statement, freeBytes, foundBytes } = memory;
  const found =
    foundBytes === undefined ? '' : `; the process grew by ${formatBytes(foundBytes)} in loading it`;
  return [
    `Memory: ${formatBytes(statedBytes)} stated (${statement}), ${formatBytes(freeBytes)} free${found}.`,
  ];
}

function lawLines(law: Law): string[] {
  const { numPrompts, numAsked, numTokens, shapeDifference, tolerance, nearTies, broken, sampled } = law;
  const rows =
    shapeDifference === 0
      ? 'Rows are the same bit for bit in passes of any shape.'
      : `Rows differ by up to ${shapeDifference.toExponential(1)} between shapes of passes; below ${tolerance.toExponential(1)} two tokens count as a near-tie (${law.numNearTiePositions} positions).`;
  const short = numPrompts < numAsked ? ` (of ${numAsked}: time ran out)` : '';
  return [
    `AR = TiDAR, texts of ${law.model}: ${numPrompts} prompts${short}, ${numTokens} drafted tokens compared: ${broken.length} broken, ${nearTies.length} parted at a near-tie. Sampled: ${sampled.numEqual} of ${sampled.numTexts} the same.`,
    rows,
    ...[...broken, ...nearTies].map(partingLine),
    '',
    ...table(
      ['decoding', 'tokens per forward', 'tokens/s after prefill'],
      law.speeds.map(({ name, tokensPerForward, tokensPerSecond }) => [
        name,
        tokensPerForward.toFixed(2),
        tokensPerSecond.toFixed(1),
      ]),
    ),
  ];
}

function partingLine({ prompt, plan, position, gap }: Parting): string {
  return `- prompt ${prompt}, plan ${plan}: token ${position} differs, the two best ${gap.toExponential(1)} apart`;
}

function curveLines({ curve, threads }: ModelFindings): string[] {
  const unit = curve[0]?.milliseconds ?? NaN;
  return [
    ...table(
      ['rows of a pass', ...curve.map(({ numRows }) => String(numRows))],
      [
        ['ms', ...curve.map(({ milliseconds }) => milliseconds.toFixed(2))],
        ['÷ 2 rows', ...curve.map(({ milliseconds }) => (milliseconds / unit).toFixed(2))],
      ],
    ),
    ...(threads.length === 0
      ? []
      : [
          '',
          ...table(
            ['threads, 16 rows', ...threads.map((one) => String(one.numThreads))],
            [['ms', ...threads.map((one) => one.milliseconds.toFixed(2))]],
          ),
        ]),
  ];
}
