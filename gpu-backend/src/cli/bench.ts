import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ALLOCATOR_ENVIRONMENT, hasAllocatorEnvironment } from '../device/allocator-environment.ts';
import { BATCH } from './bench/batch-command.ts';
import { COMMON_OPTIONS, endProgress } from './bench/command.ts';
import { withFoundDevice } from './bench/device.ts';
import type { BenchCommand } from './bench/command.ts';
import { CONTEXT } from './bench/context-command.ts';
import { DECODE } from './bench/decode-command.ts';
import { peersCommand, PEERS_FLAGS } from './bench/peers-command.ts';
import { simulateWithRecording } from './bench/simulate.ts';
import { SLOTS } from './bench/slots-command.ts';
import { FlagError, parseFlags, runCommand, stringFlag } from './flags.ts';
import type { ParsedFlags } from './flags.ts';
import { REPOSITORY } from './start/repository.ts';

const HELP = `Measures decoding on this machine.

  npm run bench -- decode    one text at a time: plain, dense, other plans, auto
  npm run bench -- batch     1 to 32 texts at once, where drafts fare well and where none does
  npm run bench -- context   short texts and long ones
  npm run bench -- slots     what a pass costs by rows, sequences and context; sampling; planning
  npm run bench -- peers     against llama.cpp, same weights
  npm run bench -- simulate  the planner on another device's published latencies
  npm run bench -- edge      what the edge adds to the time to the first token
  npm run bench -- load      500 streams at once through edge and backend, and calls that are refused

Each tells its flags with --help.`;

const COMMANDS: Readonly<Record<string, BenchCommand>> = {
  decode: DECODE,
  batch: BATCH,
  context: CONTEXT,
  slots: SLOTS,
};

/** Those that start edge and backend as processes: scripts that span the packages. */
const OF_THE_SYSTEM = ['edge', 'load'];

/** The command with its arguments; wrong flags are FlagErrors. */
export async function bench(commandLine: readonly string[]): Promise<void> {
  const [name = '--help', ...args] = commandLine;
  if (['--help', '-h'].includes(name)) return void process.stdout.write(`${HELP}\n`);
  if (name === 'peers') return peersCommand(withoutPositionals(name, parseFlags(args, PEERS_FLAGS)));
  if (name === 'simulate') return simulateWithRecording(args);
  if (OF_THE_SYSTEM.includes(name)) return benchSystem(commandLine);
  const command = COMMANDS[name];
  if (command === undefined) {
    const known = [...Object.keys(COMMANDS), 'peers', 'simulate', ...OF_THE_SYSTEM].join(', ');
    throw new FlagError(`bench knows ${known}; got "${name}".`);
  }
  const flags = withoutPositionals(name, parseFlags(args, { ...COMMON_OPTIONS, ...command.options }));
  await run(command, flags, `npm run bench -- ${commandLine.join(' ')}`);
}

async function run(command: BenchCommand, flags: ParsedFlags, title: string): Promise<void> {
  if (flags.values['help'] === true) return void process.stdout.write(`${command.help}\n`);
  const { text, json, draw } = await command.run(await withFoundDevice(flags)).finally(endProgress);
  process.stdout.write(`${flags.values['json'] === true ? JSON.stringify(json) : text}\n`);
  const plot = stringFlag(flags, 'plot');
  if (plot !== undefined && draw !== undefined) writeFileSync(plot, `${draw(title)}\n`);
}

function benchSystem(commandLine: readonly string[]): void {
  const script = join(REPOSITORY, 'scripts/bench-system.ts');
  const { status, error } = spawnSync(process.execPath, [script, ...commandLine], { stdio: 'inherit' });
  if (error !== undefined) throw error;
  process.exitCode = status ?? 1;
}

function withoutPositionals(name: string, flags: ParsedFlags): ParsedFlags {
  const [unknown] = flags.positionals;
  if (unknown === undefined) return flags;
  throw new FlagError(`bench ${name} takes flags only; got "${unknown}".`);
}

/** glibc reads its settings when a process starts, so what is measured runs in one of its own. */
function startAgain(): void {
  const { status, error } = spawnSync(process.execPath, process.argv.slice(1), {
    stdio: 'inherit',
    env: { ...process.env, ...ALLOCATOR_ENVIRONMENT },
  });
  if (error !== undefined) throw error;
  process.exitCode = status ?? 1;
}

if (import.meta.main) {
  if (hasAllocatorEnvironment(process.env)) await runCommand('bench', () => bench(process.argv.slice(2)));
  else startAgain();
}
