import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ALLOCATOR_ENVIRONMENT } from '../../device/allocator-environment.ts';
import { findingsSchema } from './task.ts';
import type { Findings, Task } from './task.ts';

const SCRIPT = fileURLToPath(new URL('./examine.ts', import.meta.url));
const SHOWN_LINES = 4;

/** Examines a device in a process of its own: one that its driver ends is a finding like others. */
export async function examineDevice(task: Task): Promise<Findings> {
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify(task)], {
    env: { ...process.env, ...ALLOCATOR_ENVIRONMENT },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, end] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    }),
  ]);
  const { device } = task;
  const lastLine = stdout.trimEnd().split('\n').at(-1) ?? '';
  const parsed = findingsSchema.safeParse(parseOrUndefined(lastLine));
  if (parsed.success) return parsed.data;
  const said = stderr.trim().split('\n').slice(-SHOWN_LINES).join(' ');
  return { device, golden: [], failure: `The process that examined it ended by ${end}. ${said}`.trim() };
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
