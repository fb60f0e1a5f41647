/** `npm run bench -- edge` and `-- load`: what the whole system adds to the model, and holds at once. */
import { FlagError, runCommand } from '../gpu-backend/src/cli/flags.ts';
import { edgeCommand } from './bench/edge-command.ts';
import { loadCommand } from './bench/load-command.ts';

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<boolean>>> = {
  edge: edgeCommand,
  load: loadCommand,
};

await runCommand('bench', async () => {
  const [name = '', ...args] = process.argv.slice(2);
  const command = COMMANDS[name];
  if (command === undefined) throw new FlagError(`bench-system knows edge and load; got "${name}".`);
  const isWell = await command(args);
  // Whatever a connection still waits for.
  process.exit(isWell ? 0 : 1);
});
