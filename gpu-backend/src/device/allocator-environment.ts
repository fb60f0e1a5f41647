/**
 * What a process that runs onnxruntime is started with on glibc: large blocks stay mapped between runs,
 * instead of being mapped and zeroed again at each (a 30 times slower Softmax was measured without it).
 */
export const ALLOCATOR_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '4294967296',
  MALLOC_TRIM_THRESHOLD_: '4294967296',
};

/** Whether this process was started with it; other C libraries than glibc don't read it. */
export function hasAllocatorEnvironment(env: Readonly<Record<string, string | undefined>>): boolean {
  return Object.entries(ALLOCATOR_ENVIRONMENT).every(([name, value]) => env[name] === value);
}
