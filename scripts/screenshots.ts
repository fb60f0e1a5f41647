/** `npm run screenshots`: pictures of both pages, of the real system with the demo model, for docs/screenshots. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { callersFolder } from '../gpu-backend/src/cli/environment.ts';
import {
  assertNoStray,
  FlagError,
  listFlag,
  parseFlags,
  runCommand,
  stringFlag,
} from '../gpu-backend/src/cli/flags.ts';
import { REPOSITORY } from '../gpu-backend/src/cli/start/repository.ts';
import { openBrowser } from '../test/support/browser.ts';
import { CONSOLE_SHOTS } from './screenshots/console.ts';
import { PLAYGROUND_SHOTS } from './screenshots/playground.ts';
import { type Shot, takeShot } from './screenshots/shot.ts';
import { System } from './screenshots/system.ts';

const SHOTS: readonly Shot[] = [...PLAYGROUND_SHOTS, ...CONSOLE_SHOTS];

const HELP = `Starts the system with the demo model, uses it as people would, and makes pictures of both pages.

  npm run screenshots -- [flags]

  --out <folder>   where they are written, docs/screenshots by default
  --only <names>   some of them, with commas between:
                   ${SHOTS.map(({ name }) => name).join(', ')}
  --help           this text`;

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const flags = parseFlags(process.argv.slice(2), { out: text, only: text, help: { type: 'boolean' } });
  if (flags.values['help'] === true) return void process.stdout.write(`${HELP}\n`);
  assertNoStray(flags);
  const given = stringFlag(flags, 'out');
  const out =
    given === undefined
      ? join(REPOSITORY, 'docs/screenshots')
      : resolve(callersFolder(process.env, 'screenshots'), given);
  const shots = wanted(listFlag(flags, 'only'));
  mkdirSync(out, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'tidar-screenshots-'));
  const system = await System.start(folder);
  const browser = await openBrowser();
  try {
    await system.live();
    for (const shot of shots) process.stdout.write(`${await takeShot(shot, system, browser, out)}\n`);
  } finally {
    await browser.close();
    await system.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function wanted(names: readonly string[] | undefined): readonly Shot[] {
  const unknown = names?.find((name) => !SHOTS.some((shot) => shot.name === name));
  if (unknown !== undefined) throw new FlagError(`There is no picture "${unknown}"; --help lists them.`);
  return names === undefined ? SHOTS : SHOTS.filter(({ name }) => names.includes(name));
}

await runCommand('screenshots', main);
