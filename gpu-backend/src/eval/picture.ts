import { writeFileSync } from 'node:fs';
import { MAX_DRAFT_LENGTH } from '@tidar/shared/decoder.ts';
import { FlagError, numberFlag, parseFlags, runCommand, stringFlag, wholeNumber } from '../cli/flags.ts';
import { DEMO_MODEL } from '../cli/open-model.ts';
import { generate } from '../decode/generate.ts';
import { soloEngine } from '../decode/solo-engine.ts';
import { openModel } from '../device/open.ts';
import { PLAIN_SAMPLING } from '../engine/sampling/settings.ts';
import { loadModelFolder } from '../model/folder.ts';

/**
 * Draws one real answer as an SVG, each forward pass's accepted run on its own shade: the README's picture.
 *   node gpu-backend/src/eval/picture.ts --out docs/pass-by-pass.svg [--model F] [--draft-length K] QUESTION
 */

interface Run {
  readonly text: string;
  readonly pass: number;
}

const SHADES = ['#d7e8ff', '#ffe5c7', '#d9f2d9', '#f3dcf5', '#fff3b8', '#d4f1ef'] as const;
const CHARACTER_WIDTH = 9.63;
const LINE_HEIGHT = 30;
const MARGIN = 24;

await runCommand('picture', async () => {
  const TEXT = { type: 'string' } as const;
  const flags = parseFlags(process.argv.slice(2), { out: TEXT, model: TEXT, 'draft-length': TEXT });
  const out = stringFlag(flags, 'out');
  const question = flags.positionals.join(' ');
  if (out === undefined || question === '') throw new FlagError('Give --out FILE and a question.');
  const draftLength = numberFlag(flags, 'draft-length', 16, wholeNumber(1, MAX_DRAFT_LENGTH));
  const runs = await answerRuns(stringFlag(flags, 'model') ?? DEMO_MODEL, question, draftLength);
  writeFileSync(out, draw(question, runs));
});

async function answerRuns(modelPath: string, asked: string, draftLength: number): Promise<Run[]> {
  const folder = loadModelFolder(modelPath);
  const { tokenizer } = folder;
  if (tokenizer === undefined) throw new RangeError(`${modelPath} has no tokenizer`);
  const session = await openModel(folder, { numThreads: 1 });
  const engine = soloEngine(session);
  const found: Run[] = [];
  const text = tokenizer.stream();
  const options = {
    promptIds: tokenizer.encodeChat([{ role: 'user', content: asked }]),
    maxTokens: 160,
    decoder: { type: 'tidar', plan: 'dense', draftLength, beta: 1 } as const,
    sampling: PLAIN_SAMPLING,
    stopTokenIds: [],
  };
  for await (const event of generate(engine, options)) {
    if (event.type === 'step') found.push({ text: text.push(event.tokenIds), pass: found.length });
  }
  engine.dispose();
  await session.dispose();
  return found;
}

/** Lines of runs: a run that holds a newline goes on, on the same shade, in the next line. */
function lines(all: readonly Run[]): Run[][] {
  const result: Run[][] = [[]];
  for (const { text, pass } of all) {
    text.split('\n').forEach((piece, index) => {
      if (index > 0) result.push([]);
      if (piece !== '') result.at(-1)?.push({ text: piece, pass });
    });
  }
  return result;
}

function draw(asked: string, all: readonly Run[]): string {
  const answer = lines(all);
  const numColumns = Math.max(
    asked.length,
    ...answer.map((line) => line.map((run) => run.text).join('').length),
  );
  const width = Math.ceil(numColumns * CHARACTER_WIDTH + 2 * MARGIN);
  const height = (answer.length + 2) * LINE_HEIGHT + 2 * MARGIN;
  const numPasses = all.filter((run) => run.text !== '').length;
  const body = answer.flatMap((line, index) => drawLine(line, MARGIN + (index + 2) * LINE_HEIGHT));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="16">
<title>One answer in ${numPasses} forward passes; each shade is one pass</title>
<rect width="100%" height="100%" rx="10" fill="#ffffff"/>
<text x="${MARGIN}" y="${MARGIN + 12}" fill="#667" textLength="${asked.length * CHARACTER_WIDTH}">${escaped(asked)}</text>
${body.join('\n')}
</svg>
`;
}

function drawLine(line: readonly Run[], baseline: number): string[] {
  let column = 0;
  return line.map(({ text, pass }) => {
    const x = MARGIN + column * CHARACTER_WIDTH;
    const width = text.length * CHARACTER_WIDTH;
    column += text.length;
    const shade = SHADES[pass % SHADES.length] ?? SHADES[0];
    return (
      `<rect x="${x.toFixed(1)}" y="${baseline - 19}" width="${width.toFixed(1)}" height="26" rx="4" fill="${shade}"/>` +
      `<text x="${x.toFixed(1)}" y="${baseline}" fill="#123" xml:space="preserve" textLength="${width.toFixed(1)}">${escaped(text)}</text>`
    );
  });
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
