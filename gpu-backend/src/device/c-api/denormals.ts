import koffi from 'koffi';
import type { LibraryHandle } from 'koffi';

/**
 * A masked column's softmax weight underflows, and x86 takes some hundred cycles for each vector in which a number
 * does: a third of a step of 16 rows. While `work` runs such numbers are zero at once, as they are in the end anyway.
 * JavaScript never sees it: outside of `work` the thread computes as before.
 */
export function withDenormalsAsZero<T>(work: () => T): T {
  environment ??= findEnvironment();
  const { enter, leave } = environment;
  enter();
  try {
    return work();
  } finally {
    leave();
  }
}

/** The same until a promise settles: other JavaScript of this thread that runs meanwhile computes so too. */
export async function whileDenormalsAreZero<T>(work: () => Promise<T>): Promise<T> {
  environment ??= findEnvironment();
  const { enter, leave } = environment;
  enter();
  try {
    return await work();
  } finally {
    leave();
  }
}

interface FloatingPointEnvironment {
  /** koffi unloads a library that nobody holds. */
  readonly library?: LibraryHandle;
  readonly enter: () => void;
  readonly leave: () => void;
}

let environment: FloatingPointEnvironment | undefined;

/** glibc's fenv_t on x86-64 is 32 bytes, the last 4 of them the MXCSR register. */
const NUM_WORDS = 8;
const MXCSR = 7;
const FLUSH_TO_ZERO = 0x8000;
const DENORMALS_ARE_ZERO = 0x40;
/** A small typed array may move; one over its own buffer doesn't. */
const NUM_BYTES = 256;

/** Other platforms than Linux on x86-64 compute on as they are: the same text, slower or, on ARM, as fast. */
function findEnvironment(): FloatingPointEnvironment {
  const nothing = (): void => undefined;
  if (process.platform !== 'linux' || process.arch !== 'x64') return { enter: nothing, leave: nothing };
  const library = loadMathLibrary();
  if (library === undefined) return { enter: nothing, leave: nothing };
  const fegetenv = library.func('fegetenv', 'int', ['void *']);
  const fesetenv = library.func('fesetenv', 'int', ['void *']);
  const usual = new Uint32Array(new ArrayBuffer(NUM_BYTES), 0, NUM_WORDS);
  const flushing = new Uint32Array(new ArrayBuffer(NUM_BYTES), 0, NUM_WORDS);
  fegetenv(usual);
  flushing.set(usual);
  flushing[MXCSR] = (usual[MXCSR] ?? 0) | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO;
  return {
    library,
    enter: () => {
      fesetenv(flushing);
    },
    leave: () => {
      fesetenv(usual);
    },
  };
}

function loadMathLibrary(): LibraryHandle | undefined {
  try {
    return koffi.load('libm.so.6');
  } catch {
    return undefined; // another C library than glibc
  }
}
