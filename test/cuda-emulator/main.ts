/**
 * `npm run check:cuda`: the real CUDA provider of the product's onnxruntime, on an emulated GPU. Where nodes are placed,
 * what is copied and what is captured is real; numbers and times are not.
 */
import { CHECKS } from './checks.ts';
import { Missing } from './emulator.ts';
import { prepare } from './run.ts';
import type { Emulation } from './run.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const emulation = await prepare();
  let numFailed = 0;
  for (const { title, run } of CHECKS) numFailed += (await isRight(title, run, emulation)) ? 0 : 1;
  process.exitCode = numFailed === 0 ? 0 : 1;
  // The first check counts them: it fails where there is one.
  say(
    numFailed === 0
      ? 'cuda placement ok, cache bytes copied per step 0'
      : `${numFailed} of ${CHECKS.length} failed`,
  );
}

async function isRight(
  title: string,
  run: (typeof CHECKS)[number]['run'],
  emulation: Emulation,
): Promise<boolean> {
  try {
    const figures = await run(emulation, 'all');
    say(`ok      ${title}${typeof figures === 'string' ? ` (${figures})` : ''}`);
    return true;
  } catch (error) {
    say(`FAILED  ${title}\n${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  say(`SKIPPED: ${error.message}`);
}
