import type { Findings, Golden, Law } from './task.ts';

/** In 16 bits a logit of 30 has steps of 1/64 or 1/8. Beyond it everything would be a near-tie. */
const MOST_DIFFERENCE = 0.5;

/** What is wrong with a device that is there; empty: nothing that was looked at. */
export function problemsOf({ device, absence, failure, golden, model }: Findings): string[] {
  if (absence !== undefined) return [];
  return [
    ...(failure === undefined ? [] : [`${device} failed: ${failure}`]),
    ...golden
      .filter((one) => !isRight(one))
      .map((one) => `${device} computes other numbers for ${one.fixture}.`),
    ...(model === undefined ? [] : lawProblems(device, model.law)),
  ];
}

export function isRight({ causalError, stepError, limit }: Golden): boolean {
  return causalError < limit && stepError < limit;
}

const isCpu = (device: Findings['device']): boolean => device === 'c-api' || device === 'node-binding';

function lawProblems(device: Findings['device'], law: Law): string[] {
  const { broken, sampled, shapeDifference, numPrompts } = law;
  const problems: string[] = [];
  if (numPrompts === 0) problems.push(`No prompt was compared on ${device}.`);
  if (isCpu(device) && shapeDifference > 0)
    problems.push(
      `On ${device} a row's logits depend on the rows beside it (by ${shapeDifference.toExponential(1)}).`,
    );
  if (shapeDifference > MOST_DIFFERENCE)
    problems.push(
      `On ${device} a row's logits differ by ${shapeDifference.toFixed(2)} between shapes of passes: no rounding does that.`,
    );
  if (broken.length > 0)
    problems.push(
      `On ${device} ${broken.length} texts parted from plain decoding where nothing was a near-tie.`,
    );
  if (isCpu(device) && sampled.numEqual < sampled.numTexts)
    problems.push(
      `On ${device} ${sampled.numTexts - sampled.numEqual} sampled texts are not plain decoding's.`,
    );
  return problems;
}
