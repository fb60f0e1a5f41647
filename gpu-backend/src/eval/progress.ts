import type { OnItem } from './run.ts';

const WIDTH = 30;
/** Where nobody watches, so many lines. */
const NUM_LINES = 10;

/** Follows a run on stderr: a bar on a terminal, otherwise a line now and then. */
export function showProgress(stream: NodeJS.WriteStream = process.stderr): OnItem {
  const startedAt = performance.now();
  let numTold = 0;
  let numBefore: number | undefined;
  return (task, numDone, numItems) => {
    numBefore ??= numDone - 1;
    const share = numDone / numItems;
    const left = `${task}, ${remaining(performance.now() - startedAt, numDone - numBefore, numItems - numDone)}`;
    if (stream.isTTY) {
      const bar = '█'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '░');
      stream.write(`\r\u001b[K${bar} ${numDone}/${numItems} items, ${left}`);
      if (numDone === numItems) stream.write('\r\u001b[K');
    } else if (Math.floor(share * NUM_LINES) > numTold) {
      numTold = Math.floor(share * NUM_LINES);
      stream.write(`${numDone}/${numItems} items, ${left}\n`);
    }
  };
}

function remaining(elapsedMs: number, numDone: number, numLeft: number): string {
  const minutes = ((elapsedMs / numDone) * numLeft) / 60_000;
  return minutes < 1 ? `${Math.round(60 * minutes)} s left` : `${Math.round(minutes)} min left`;
}
