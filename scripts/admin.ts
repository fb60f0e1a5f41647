/** `npm run admin`: the admin API of an edge as a command. */
import { AdminApi, AdminError } from './admin/client.ts';
import { type Command, COMMANDS, HELP } from './admin/commands.ts';

const DEFAULT_URL = 'http://127.0.0.1:8787';

/** The longest command that the words begin with, and what is left of them. */
function findCommand(words: readonly string[]): { command: Command; args: readonly string[] } {
  for (const numWords of [2, 1]) {
    const command = COMMANDS[words.slice(0, numWords).join(' ')];
    if (command !== undefined) return { command, args: words.slice(numWords) };
  }
  throw new AdminError(`There is no command "${words.slice(0, 2).join(' ')}"; --help lists them.`);
}

async function main(words: readonly string[]): Promise<void> {
  if (words.length === 0 || words.includes('--help')) {
    process.stdout.write(HELP);
    return;
  }
  const { command, args } = findCommand(words);
  const token = process.env.ADMIN_TOKEN;
  if (token === undefined || token === '')
    throw new AdminError('ADMIN_TOKEN is not set: put the token there, not on the command line.');
  const api = new AdminApi(process.env.TIDAR_EDGE_URL ?? DEFAULT_URL, token);
  console.log(JSON.stringify(await command(api, args), null, 2));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof AdminError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
