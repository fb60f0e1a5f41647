/** A command as a document has it. */
export interface Command {
  /** Of the document, from the repository's root. */
  readonly path: string;
  readonly line: number;
  /** Without comments and without the variables that are set before it. */
  readonly text: string;
  /** What it needs that a machine for tests lacks, as the document says beside it. */
  readonly needs: string | undefined;
}

const FENCE = /^( *)```(\w*)[^\n]*\n([\s\S]*?)^\1```$/gm;
const SHELLS = new Set(['sh', 'bash', 'shell', 'console']);
const INLINE = /`((?:[A-Z_]+=\S+ )*(?:npm (?:start|test)(?: [^`]*)?|(?:npm run|npx|node) [^`]+))`/g;
/** In a block without a language, what only a command looks like. */
const LOOKS_LIKE_COMMAND = /^(?:[A-Z_]+=\S+ )*(?:npm|npx|node|curl|docker|kubectl|wrangler|git) [\w.@/-]/;
const NEEDS = /#+ *needs (.+?)\.?$/i;
const NEEDS_BESIDE = /^\s\(needs ([^)]+)\)/;

/** Every command of a document: of its shell blocks, and of what stands in its text as one, perhaps with `(needs …)`. */
export function commandsIn(path: string, document: string): Command[] {
  const prose = document.replaceAll(FENCE, (block) => block.replaceAll(/[^\n]/g, ' '));
  const lineAt = (index: number): number => document.slice(0, index).split('\n').length;
  const blocks = [...document.matchAll(FENCE)].filter(([, , language = '']) => SHELLS.has(language));
  return [
    ...blocks.flatMap((block) => commandsOfBlock(path, lineAt(block.index) + 1, block[3] ?? '')),
    ...[...prose.matchAll(INLINE)].map((inline) => ({
      path,
      line: lineAt(inline.index),
      text: withoutVariables(inline[1] ?? ''),
      needs: NEEDS_BESIDE.exec(prose.slice(inline.index + inline[0].length))?.[1],
    })),
  ];
}

/** Lines that look like commands in blocks that say no language: nobody would check them. */
export function unmarkedCommandsIn(path: string, document: string): string[] {
  return [...document.matchAll(FENCE)]
    .filter(([, , language]) => language === '')
    .flatMap(([, , , body = '']) => body.split('\n'))
    .filter((line) => LOOKS_LIKE_COMMAND.test(line))
    .map((line) => `${path}: ${line}`);
}

/**
 * The commands of a shell block: a line each, and more where a quote is open or a backslash ends it. `# Needs …` on a
 * line of its own is said of all that follow until an empty line, behind a command of that one.
 */
function commandsOfBlock(path: string, firstLine: number, body: string): Command[] {
  const commands: Command[] = [];
  let needs: string | undefined;
  let open: { line: number; text: string } | undefined;
  for (const [index, raw] of body.split('\n').entries()) {
    if (open === undefined && raw.trim() === '') needs = undefined;
    if (open === undefined && raw.trimStart().startsWith('#')) {
      needs = NEEDS.exec(raw)?.[1] ?? needs;
      continue;
    }
    const line: number = open?.line ?? firstLine + index;
    const text: string = open === undefined ? raw : `${open.text}\n${raw}`;
    if (isOpen(text)) {
      open = { line, text };
      continue;
    }
    open = undefined;
    const [command, comment] = splitComment(text);
    if (command.trim() === '') continue;
    const own = NEEDS.exec(comment)?.[1];
    commands.push({ path, line, text: withoutVariables(command.trim()), needs: own ?? needs });
  }
  return commands;
}

/** A quote that is not closed, or a line that goes on. */
function isOpen(text: string): boolean {
  const [command] = splitComment(text);
  return quoteAtEnd(command) !== undefined || /\\\s*$/.test(command);
}

function quoteAtEnd(text: string): string | undefined {
  let quote: string | undefined;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (character === '\\' && quote !== "'") at += 1;
    else if (quote === undefined && (character === "'" || character === '"')) quote = character;
    else if (character === quote) quote = undefined;
  }
  return quote;
}

/** A comment begins at a `#` behind a space, outside of quotes. */
function splitComment(text: string): [command: string, comment: string] {
  for (const { index } of text.matchAll(/(?<=\s)#/g)) {
    if (quoteAtEnd(text.slice(0, index)) === undefined) return [text.slice(0, index), text.slice(index)];
  }
  return [text, ''];
}

const withoutVariables = (command: string): string =>
  command
    .replace(/^\w+=\$\(/, '')
    .replace(/^(?:[A-Z_]+=(?:'[^']*'|"[^"]*"|<[^>]*>|\S*)\s+)+(?=\S)/, '')
    .trim();

/** The flags that a command gives. */
export function flagsOf(text: string): string[] {
  const unquoted = text.replaceAll(/'[^']*'|"[^"]*"/g, "''");
  return [...unquoted.matchAll(/(?<=\s)--[a-z][a-z0-9-]*/g)].map(([flag]) => flag);
}
