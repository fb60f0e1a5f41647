import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const MAX_FILE_CHARACTERS = 40_000;
const NUM_BYTES = 1_000_000;

/** Ranges of assigned characters: scripts, marks, signs, emoji; control characters, and spaces of every kind. */
const RANGES: readonly (readonly [number, number])[] = [
  ...([
    [0x20, 0x7e],
    [0x09, 0x0d],
    [0x00, 0x1f],
    [0xa0, 0xff],
    [0x100, 0x17f],
    [0x300, 0x33f],
  ] as const),
  ...([
    [0x391, 0x3a1],
    [0x3b1, 0x3c9],
    [0x410, 0x44f],
    [0x531, 0x556],
    [0x5d0, 0x5ea],
    [0x621, 0x63a],
  ] as const),
  ...([
    [0x64b, 0x652],
    [0x905, 0x939],
    [0x93e, 0x94c],
    [0xe01, 0xe3a],
    [0x10d0, 0x10f0],
  ] as const),
  ...([
    [0x1100, 0x1112],
    [0x1161, 0x1175],
    [0x2000, 0x200f],
    [0x2028, 0x202f],
    [0x2190, 0x21ff],
  ] as const),
  ...([
    [0x2200, 0x22ff],
    [0x2460, 0x249b],
    [0x2500, 0x257f],
    [0x3000, 0x3002],
    [0x3041, 0x3096],
  ] as const),
  ...([
    [0x30a1, 0x30fa],
    [0x4e00, 0x9fa5],
    [0xac00, 0xd7a3],
    [0xf900, 0xfa2d],
    [0xfb00, 0xfb06],
  ] as const),
  ...([
    [0xfe00, 0xfe0f],
    [0xff01, 0xff5e],
    [0x1d400, 0x1d454],
    [0x1f300, 0x1f5ff],
    [0x1f600, 0x1f64f],
  ] as const),
  ...([
    [0x1f1e6, 0x1f1ff],
    [0x1f3fb, 0x1f3ff],
    [0x85, 0x85],
    [0xfeff, 0xfeff],
    [0x17f, 0x17f],
  ] as const),
  [0x212a, 0x212a],
];
/** What pre-tokenizers treat apart. */
const PIECES = [
  ...[' ', '  ', '\n', '\n\n', '\r\n', '\t', ' \n ', "'s", "'LL", "'ſ", "'Re", 'İ', '12345', '１２３', '½'],
  ...['👨‍👩‍👧‍👦', '🇩🇪', '👍🏽', 'é', 'ﬁ', '한글', '。', '...', '!?', '//', '/*', '\u{2003}x', '_a', 'aB', 'ABc'],
];

/** A megabyte of text, data, code, and characters of all kinds at random; the same for the same packages. */
export function mixedTexts(): string[] {
  const texts = randomTexts(2500);
  let numBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  for (const path of spread(sourceFiles())) {
    const text = readFileSync(path, 'utf8').slice(0, MAX_FILE_CHARACTERS).toWellFormed();
    texts.push(text);
    numBytes += Buffer.byteLength(text);
    if (numBytes >= NUM_BYTES) return texts;
  }
  throw new RangeError(`only ${numBytes} bytes of text were found`);
}

function sourceFiles(): string[] {
  return [
    ...globSync(`${ROOT}gpu-backend/tasks/*.jsonl`),
    ...globSync(`${ROOT}node_modules/{zod,hono,vitest,openai,typescript}/**/*.{md,ts,js,cts,json}`),
    ...globSync(`${ROOT}{README,docs/*}.md`),
  ].toSorted();
}

/** The same items, neighbours far from each other. */
function spread<T>(items: readonly T[]): T[] {
  const stride = 97;
  return Array.from({ length: stride }, (_, first) => items.filter((__, at) => at % stride === first)).flat();
}

function randomTexts(count: number): string[] {
  let state = 7;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const pick = <T>(items: readonly T[]): T => {
    const item = items[below(items.length)];
    if (item === undefined) throw new RangeError('there is nothing to pick from');
    return item;
  };
  return Array.from({ length: count }, () => {
    let range = pick(RANGES);
    return Array.from({ length: 1 + below(60) }, () => {
      if (below(4) === 0) range = pick(RANGES);
      const character = String.fromCodePoint(range[0] + below(range[1] - range[0] + 1));
      return below(6) === 0 ? character + pick(PIECES) : character;
    }).join('');
  });
}
