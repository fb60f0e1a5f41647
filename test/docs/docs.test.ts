import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { readRepository, repositoryRoot } from '../support/repository-files.ts';
import { type Command, commandsIn, flagsOf, unmarkedCommandsIn } from './commands.ts';
import { anchorsOf, brokenLinks } from './links.ts';
import { REGISTER } from './register.ts';

const run = promisify(execFile);
const read = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8');
const documents = readRepository().filter(({ path }) => path.endsWith('.md'));
const commands = documents.flatMap(({ path, text }) => commandsIn(path, text));
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** The file that a command runs by our own Node; undefined where it is another program's. */
function scriptOf({ text }: Pick<Command, 'text'>): string | undefined {
  const [, name] = /^npm (?:run )?([\w:-]+)/.exec(text) ?? [];
  const line = name === undefined ? text : (scripts[name] ?? '');
  return /^node (\S+\.ts)/.exec(line)?.[1];
}

/** Subcommands of a bench tell their own flags. */
function helpArguments({ text }: Command): string[] {
  const [, bench] = /^npm run bench -- (\w+)/.exec(text) ?? [];
  return bench === undefined ? ['--help'] : [bench, '--help'];
}

const withFlags = commands.filter(
  (command) => scriptOf(command) !== undefined && flagsOf(command.text).length > 0,
);
const questionOf = (command: Command): string => [scriptOf(command), ...helpArguments(command)].join(' ');
const helps = new Map<string, string>();

beforeAll(async () => {
  const questions = [...new Set(withFlags.map(questionOf))];
  const ask = async (): Promise<void> => {
    for (let question = questions.pop(); question !== undefined; question = questions.pop()) {
      const told = run(process.execPath, question.split(' '), { cwd: repositoryRoot });
      // Of a command without help no flag is known.
      helps.set(question, await told.then(({ stdout }) => stdout).catch(() => ''));
    }
  };
  await Promise.all([ask(), ask()]);
});

const hasTitle = (path: string, title: string): boolean =>
  existsSync(join(repositoryRoot, path)) && read(path).replaceAll("\\'", "'").includes(title);

describe('every command in the documents', () => {
  it('is found', () => {
    expect(documents.length).toBeGreaterThan(15);
    expect(commands.length).toBeGreaterThan(60);
    expect(commands.filter(({ needs }) => needs !== undefined).length).toBeGreaterThan(5);
  });

  it('is run by a test, or says beside it what it needs that a machine for tests lacks', () => {
    const missing = commands
      .filter(({ needs }) => needs === undefined)
      .filter(({ text }) => !REGISTER.some(({ command }) => text.startsWith(command)));
    expect(missing.map(({ path, line, text }) => `${path}:${line}: ${text}`)).toEqual([]);
  });

  it('stands in a block that says that it is one of a shell', () => {
    expect(documents.flatMap(({ path, text }) => unmarkedCommandsIn(path, text))).toEqual([]);
  });

  it('is a script of package.json, or a file that is there', () => {
    const wrong = commands.filter(({ text }) => {
      const [, name] = /^npm run ([\w:-]+)/.exec(text) ?? [];
      const [, file] = /^node (\S+)/.exec(text) ?? [];
      const isMissing = file !== undefined && !existsSync(join(repositoryRoot, file));
      return (name !== undefined && scripts[name] === undefined) || isMissing;
    });
    expect(wrong.map(({ path, text }) => `${path}: ${text}`)).toEqual([]);
  });

  it('has no flag but those that its own help tells', () => {
    const unknown = withFlags.flatMap((command) => {
      const known = new Set([
        '--help',
        ...(helps.get(questionOf(command))?.match(/--[a-z][a-z0-9-]*/g) ?? []),
      ]);
      const { path, line, text } = command;
      return flagsOf(text)
        .filter((flag) => !known.has(flag))
        .map((flag) => `${path}:${line}: ${text} has ${flag}`);
    });
    expect(unknown).toEqual([]);
  });
});

describe('the register of commands', () => {
  it.each(REGISTER.map(({ command, test: [path, title] }) => [command, path, title] as const))(
    'names a test that is there: %s',
    (_, path, title) => {
      expect(title).not.toBe('');
      expect(hasTitle(path, title), `${path} has no test "${title}"`).toBe(true);
    },
  );

  it('has no command that no document names', () => {
    const unused = REGISTER.filter(({ command }) => !commands.some(({ text }) => text.startsWith(command)));
    expect(unused.map(({ command }) => command)).toEqual([]);
  });
});

describe('links of the documents', () => {
  it('lead to files and sections that are there', () => {
    expect(documents.flatMap(({ path }) => brokenLinks(repositoryRoot, path, read))).toEqual([]);
  });

  it('lead from docs/README.md to every page', () => {
    const index = read('docs/README.md');
    const pages = documents.flatMap(({ path }) => /^docs\/(?!README)(\S+\.md)$/.exec(path)?.[1] ?? []);
    expect(pages.length).toBeGreaterThan(15);
    expect(pages.filter((page) => !index.includes(`](${page})`))).toEqual([]);
  });
});

describe('what the checks find', () => {
  const page = [
    'Run `npm run x -- --a 1` or `FOO=1 node y.ts --b` (needs a B), not `npm` alone.',
    '```sh',
    'A=1 npm run z -- --c "a # b" --d   # a comment',
    "curl -d '{",
    '  "x": 1 # not a comment}\' \\',
    '  -H y',
    '# Needs an account.',
    'wrangler deploy --e',
    '',
    'docker up  # needs Docker',
    'id=$(curl z)',
    '```',
    '```',
    'npm run hidden',
    'pass 1  A B',
    '```',
  ].join('\n');

  it('are commands over several lines, without comments and variables, with what they need', () => {
    expect(commandsIn('p', page).map(({ text, needs, line }) => [line, text, needs])).toEqual([
      [3, 'npm run z -- --c "a # b" --d', undefined],
      [4, 'curl -d \'{\n  "x": 1 # not a comment}\' \\\n  -H y', undefined],
      [8, 'wrangler deploy --e', 'an account'],
      [10, 'docker up', 'Docker'],
      [11, 'curl z)', undefined],
      [1, 'npm run x -- --a 1', undefined],
      [1, 'node y.ts --b', 'a B'],
    ]);
    expect(unmarkedCommandsIn('p', page)).toEqual(['p: npm run hidden']);
    expect(flagsOf('npm run z -- --c "--not" --d-e')).toEqual(['--c', '--d-e']);
  });

  it('are links that lead nowhere', () => {
    const text =
      '[a](b.md) [c](#d-e) [f](#nowhere) [g](README.md#two-commands) [h](README.md#x) https://x.y\n## D e';
    const pages = (path: string): string => (path === 'p.md' ? text : read(path));
    expect(brokenLinks(repositoryRoot, 'p.md', pages)).toEqual([
      'p.md: b.md',
      'p.md: #nowhere',
      'p.md: README.md#x',
    ]);
    expect(anchorsOf('# A, b: `c`\n## D\n## D')).toEqual(new Set(['a-b-c', 'd', 'd-1']));
  });
});
