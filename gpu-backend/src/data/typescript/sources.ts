import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { hashText } from '../arithmetic/problem.ts';
import type { Random } from '../random.ts';
import { declarations } from './chunks.ts';

/** A declaration, and whether it is kept for evaluation. */
export interface Declaration {
  /** What it belongs to: all pieces of one name are in one split. */
  name: string;
  text: string;
  isHeldOut: boolean;
}

/** Prompt and answer together stay within a training sequence. */
const maxCharacters = 560;
const heldOutShare = 1 / 20;
/** Whole files that are never trained. */
const heldOutFiles = ['lib.es2020.intl.d.ts', 'lib.es2015.promise.d.ts', 'lib.esnext.disposable.d.ts'];

const require = createRequire(import.meta.url);

/** They take half a second to read, and all parts of the data ask for them. */
let known: readonly Declaration[] | undefined;

/** Declarations of GitHub's REST API (MIT) and of TypeScript's own libraries (Apache-2.0), comments left out. */
export function readDeclarations(): readonly Declaration[] {
  return (known ??= distinctDeclarations());
}

function distinctDeclarations(): Declaration[] {
  const all = [...libraryDeclarations(), ...apiDeclarations()].filter(({ text }) => !isTable(text));
  const heldOutTexts = new Set(all.filter(({ isHeldOut }) => isHeldOut).map(({ text }) => text));
  const trained = all.filter(({ isHeldOut, text }) => isHeldOut || !heldOutTexts.has(text));
  return [...new Map(trained.map((each) => [each.text, each])).values()];
}

/** Lists of hexadecimal constants: nobody can know them. */
const isTable = (text: string): boolean => (text.match(/: 0x/g) ?? []).length >= 2;

function libraryDeclarations(): Declaration[] {
  const typescript = require.resolve('typescript/package.json');
  const platform = `@typescript/typescript-${process.platform}-${process.arch}/package.json`;
  const folder = join(dirname(createRequire(typescript).resolve(platform)), 'lib');
  return readdirSync(folder)
    .filter((file) => file.endsWith('.d.ts'))
    .toSorted()
    .flatMap((file) =>
      declarations(readFileSync(join(folder, file), 'utf8'), maxCharacters).map((text) => {
        const name = /(?:interface|type|var|function|namespace|class|const) (\w+)/.exec(text)?.[1] ?? text;
        return { name, text, isHeldOut: heldOutFiles.includes(file) || isHeldOutName(name) };
      }),
    );
}

function apiDeclarations(): Declaration[] {
  const file = join(dirname(require.resolve('@octokit/openapi-types/package.json')), 'types.d.ts');
  return declarations(readFileSync(file, 'utf8'), maxCharacters)
    .filter((text) => !text.startsWith('export interface paths'))
    .map((text) => {
      const name = /"([^"]+)"\??: /.exec(text)?.[1] ?? /^ {2,4}(\w+): /m.exec(text)?.[1] ?? text;
      return { name, text, isHeldOut: isHeldOutName(name.replace(/^nullable-/, '')) };
    });
}

function isHeldOutName(name: string): boolean {
  return hashText(`declaration:${name}`) < heldOutShare * 2 ** 32;
}

/** How many lines it takes until it is said what is declared. */
function numNameLines(text: string): number {
  if (text.startsWith('export interface components')) return 3;
  return text.startsWith('export interface operations') ? 2 : 1;
}

/** The line that names what is declared, with those around it. */
export const subjectOf = (text: string): string => text.split('\n').slice(0, numNameLines(text)).join('\n');

/** What is declared, without its name. */
export const bodyOf = (text: string): string => text.slice(subjectOf(text).length);

/**
 * Cuts a declaration after the line that names it, or up to two lines later: what is shown and what is asked for.
 * Undefined if nothing is left to ask for.
 */
export function cut(text: string, random: Random): { prompt: string; rest: string } | undefined {
  const lines = text.split('\n');
  const least = numNameLines(text);
  const numShown =
    least + random.integer(lines.length - least >= 6 ? 1 : 0, lines.length - least >= 4 ? 2 : 0);
  if (lines.length <= numShown) return undefined;
  const prompt = `${lines.slice(0, numShown).join('\n')}\n`;
  return { prompt, rest: text.slice(prompt.length) };
}
