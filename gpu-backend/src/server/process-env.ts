/**
 * What the environment of a process that runs the engine must hold when it starts. Without it glibc maps and unmaps
 * every tensor of 32 MB and more at each run, and the page faults cost more than the arithmetic.
 */
export const ENGINE_PROCESS_ENV: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '4294967296',
  MALLOC_TRIM_THRESHOLD_: '4294967296',
};

/** Whether this process was started with it; other C libraries than glibc don't read it. */
export function hasEngineProcessEnv(env: Readonly<Record<string, string | undefined>>): boolean {
  return Object.entries(ENGINE_PROCESS_ENV).every(([name, value]) => env[name] === value);
}
