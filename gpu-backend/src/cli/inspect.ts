import { resolve } from 'node:path';
import { callersFolder } from './environment.ts';
import { FlagError, parseFlags, runCommand } from './flags.ts';
import { availableBytes } from '../model/memory.ts';
import { FOLDER_FLAGS, FOLDER_HELP, parseFolderFlags } from './folder-flags.ts';
import { inspectFolder } from './inspect/inspect.ts';
import { reportLines } from './inspect/report.ts';

const HELP = `Tells what a model folder is and whether it would run here, without loading its weights.

  npm run inspect -- path/to/folder

${FOLDER_HELP}
  --json               one object in place of lines
  --help               this text

Ends with 1 where a start would fail.`;

await runCommand('inspect', main);

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2), {
    ...FOLDER_FLAGS,
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  if (flags.values['help'] === true) return void process.stdout.write(`${HELP}\n`);
  const [path, ...more] = flags.positionals;
  if (path === undefined || more.length > 0) throw new FlagError('Give one model folder; --help tells more.');
  const folder = resolve(callersFolder(process.env, 'inspect'), path);
  const inspection = inspectFolder(folder, parseFolderFlags(flags), availableBytes());
  const text =
    flags.values['json'] === true ? JSON.stringify(inspection) : reportLines(inspection).join('\n');
  process.stdout.write(`${text}\n`);
  if (inspection.problems.length > 0) process.exitCode = 1;
}
