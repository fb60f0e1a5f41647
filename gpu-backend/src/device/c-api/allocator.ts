import koffi from 'koffi';

/** glibc's number of the size from which blocks are mapped by themselves, and so given back when they are freed. */
const M_MMAP_THRESHOLD = -3;
const M_TRIM_THRESHOLD = -1;
const MAPPED_FROM = 128 << 10;
/** The largest that the function takes. */
const NEVER = 2 ** 31 - 1;

/**
 * Loading makes and frees blocks of a weight's size. With the environment of `allocator-environment.ts`, which keeps
 * freed memory for the next run, a third more than the weights would stay taken: while `work` runs, what is freed goes
 * back to the system. A process that was started without that environment keeps what it had.
 */
export function whileFreedMemoryReturns<T>(work: () => T): T {
  if (process.env['MALLOC_MMAP_THRESHOLD_'] === undefined) return work();
  const mallopt = findMallopt();
  if (mallopt === undefined) return work();
  mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
  mallopt(M_TRIM_THRESHOLD, MAPPED_FROM);
  try {
    return work();
  } finally {
    mallopt(M_MMAP_THRESHOLD, NEVER);
    mallopt(M_TRIM_THRESHOLD, NEVER);
  }
}

type Mallopt = (parameter: number, value: number) => number;

function findMallopt(): Mallopt | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return koffi.load('libc.so.6').func('mallopt', 'int', ['int', 'int']);
  } catch {
    return undefined; // another C library than glibc
  }
}
