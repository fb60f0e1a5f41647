/**
 * Philox4x32-10 for many consecutive counters, as WebAssembly: a lane is a counter, and a 64-bit product takes one
 * instruction where JavaScript needs a dozen. The same words as `philox4x32` gives (see philox.test.ts). The
 * module's few hundred instructions are put together below; `Code` is a piece of them.
 */

type Code = readonly number[];

const NUM_ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;

const simd = (...opcode: readonly number[]): Code => [0xfd, ...opcode];
const getLocal = (index: number): Code => [0x20, index];
const setLocal = (index: number, value: Code): Code => [...value, 0x21, index];
const splat = (scalar: Code): Code => [...scalar, ...simd(0x11)];
const xor = (a: Code, b: Code): Code => [...a, ...b, ...simd(0x51)];
const add = (a: Code, b: Code): Code => [...a, ...b, ...simd(0xae, 0x01)];
/** 64-bit products of lanes 0 and 1, and of lanes 2 and 3. */
const productsLow = (a: Code, b: Code): Code => [...a, ...b, ...simd(0xde, 0x01)];
const productsHigh = (a: Code, b: Code): Code => [...a, ...b, ...simd(0xdf, 0x01)];
/** Four of the eight 32-bit lanes of two vectors. */
const pick = (a: Code, b: Code, lanes: readonly number[]): Code => [
  ...a,
  ...b,
  ...simd(0x0d, ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte))),
];
const vector = (lanes: readonly number[]): Code =>
  simd(0x0c, ...new Uint8Array(Uint32Array.from(lanes).buffer));
const storeAt = (address: Code, offset: number, value: Code): Code => [
  ...address,
  ...value,
  ...simd(0x0b, 4, offset),
];

// Parameters (i32), then locals (v128).
const [FIRST, NUM_BLOCKS, POSITION, CHOICE, KEY_LOW, KEY_HIGH, ADDRESS] = [0, 1, 2, 3, 4, 5, 6];
const COUNTER = [7, 8, 9, 10] as const;
const KEY = [11, 12] as const;
const [LOW, HIGH] = [13, 14];
const PRODUCT = [15, 16] as const;
const NUM_VECTORS = 10;

const x = COUNTER.map(getLocal);
const EVEN = [0, 2, 4, 6];
const ODD = [1, 3, 5, 7];

/** PRODUCT[i]'s high words go to HIGH, its low words to LOW, for the multiplication of `value`. */
function multiply(value: Code, multiplier: number): Code {
  const factor = vector([multiplier, multiplier, multiplier, multiplier]);
  const [first, second] = [getLocal(PRODUCT[0]), getLocal(PRODUCT[1])];
  return [
    ...setLocal(PRODUCT[0], productsLow(value, factor)),
    ...setLocal(PRODUCT[1], productsHigh(value, factor)),
    ...setLocal(LOW, pick(first, second, EVEN)),
    ...setLocal(HIGH, pick(first, second, ODD)),
  ];
}

function round(): Code {
  const [x0 = [], x1 = [], x2 = [], x3 = []] = x;
  return [
    ...multiply(x0, MULTIPLIERS[0]),
    ...setLocal(COUNTER[3], xor(xor(getLocal(HIGH), x3), getLocal(KEY[1]))), // the next x2, until x2 is used
    ...getLocal(LOW), // stays on the stack: the next x3
    ...multiply(x2, MULTIPLIERS[1]),
    ...setLocal(COUNTER[0], xor(xor(getLocal(HIGH), x1), getLocal(KEY[0]))),
    ...setLocal(COUNTER[1], getLocal(LOW)),
    ...setLocal(COUNTER[2], x3),
    ...[0x21, COUNTER[3]],
    ...KEY.flatMap((key, at) => {
      const step = WEYL[at] ?? 0;
      return setLocal(key, add(getLocal(key), vector([step, step, step, step])));
    }),
  ];
}

/** The four counters' words are lanes of four vectors; in memory a counter's words follow each other. */
function storeTransposed(): Code {
  const [x0 = [], x1 = [], x2 = [], x3 = []] = x;
  const halves = [
    [pick(x0, x1, [0, 4, 1, 5]), pick(x2, x3, [0, 4, 1, 5])],
    [pick(x0, x1, [2, 6, 3, 7]), pick(x2, x3, [2, 6, 3, 7])],
  ] as const;
  return halves.flatMap(([left, right], at) => [
    ...setLocal(PRODUCT[0], left),
    ...setLocal(PRODUCT[1], right),
    ...storeAt(getLocal(ADDRESS), 32 * at, pick(getLocal(PRODUCT[0]), getLocal(PRODUCT[1]), [0, 1, 4, 5])),
    ...storeAt(
      getLocal(ADDRESS),
      32 * at + 16,
      pick(getLocal(PRODUCT[0]), getLocal(PRODUCT[1]), [2, 3, 6, 7]),
    ),
  ]);
}

/** Adds a small constant to an i32 local. */
const increase = (local: number, by: number): Code => [
  ...getLocal(local),
  0x41,
  by & 0x3f,
  0x6a,
  0x21,
  local,
];

/** do { four counters; first += 4; address += 32 + 32 } while (first < numBlocks) */
const body: Code = [
  ...[0x03, 0x40],
  ...setLocal(COUNTER[0], add(splat(getLocal(FIRST)), vector([0, 1, 2, 3]))),
  ...setLocal(COUNTER[1], splat(getLocal(POSITION))),
  ...setLocal(COUNTER[2], splat(getLocal(CHOICE))),
  ...setLocal(COUNTER[3], vector([0, 0, 0, 0])),
  ...setLocal(KEY[0], splat(getLocal(KEY_LOW))),
  ...setLocal(KEY[1], splat(getLocal(KEY_HIGH))),
  ...Array.from({ length: NUM_ROUNDS }, round).flat(),
  ...storeTransposed(),
  ...increase(FIRST, 4),
  ...increase(ADDRESS, 32),
  ...increase(ADDRESS, 32),
  ...[...getLocal(FIRST), ...getLocal(NUM_BLOCKS), 0x49, 0x0d, 0], // unsigned less: again
  ...[0x0b, 0x0b],
];

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}

const section = (id: number, content: Code): Code => [id, ...leb(content.length), ...content];
const name = (text: string): Code => [text.length, ...new TextEncoder().encode(text)];

/** type, function, memory, exports, code */
const moduleBytes: Code = [
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, [1, 0x60, 7, ...Array<number>(7).fill(0x7f), 0]),
  ...section(3, [1, 0]),
  ...section(5, [1, 0, 1]),
  ...section(7, [2, ...name('fill'), 0, 0, ...name('memory'), 2, 0]),
  ...section(10, [1, ...leb(body.length + 3), 1, NUM_VECTORS, 0x7b, ...body]),
];

// TypeScript's own declarations have it among those of a browser only.
interface Filler {
  fill(
    first: number,
    numBlocks: number,
    c1: number,
    c2: number,
    k0: number,
    k1: number,
    address: number,
  ): void;
  readonly memory: { readonly buffer: ArrayBuffer; grow(numPages: number): number };
}
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Filler };
};

const PAGE_BYTES = 65_536;
let filler: Filler | undefined;

/** Writes the words of counters (i, c1, c2, 0) to out[4 i … 4 i + 3], for every i below a quarter of its length. */
export function fillPhilox(out: Uint32Array, c1: number, c2: number, k0: number, k1: number): void {
  if (out.length === 0) return;
  filler ??= new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(moduleBytes))).exports;
  const numBlocks = Math.ceil(out.length / 4);
  const { memory } = filler;
  const numBytes = 64 * Math.ceil(numBlocks / 4);
  if (memory.buffer.byteLength < numBytes)
    memory.grow(Math.ceil((numBytes - memory.buffer.byteLength) / PAGE_BYTES));
  filler.fill(0, numBlocks, c1, c2, k0, k1, 0);
  out.set(new Uint32Array(memory.buffer, 0, out.length));
}
