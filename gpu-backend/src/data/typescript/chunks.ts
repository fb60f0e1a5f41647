/**
 * A piece of code by its indentation: a line, what stands deeper below it, and the line that closes it. A file that
 * a formatter has written is a forest of these.
 */
interface Block {
  text: string;
  head: string;
  children: Block[];
  tail: string | undefined;
}

/** Code without comments and blank lines. Only for declaration files: no string in them holds `//` after a space. */
export function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '')
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .join('\n');
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

/** `} & {` or `> {`: closes and opens again, so what stands around it is one block. */
const opensAgain = (line: string): boolean => /^[\]})>].*[{([<]$/.test(line.trimStart());
const closes = (line: string | undefined): line is string => /^[\]})>]/.test((line ?? '').trimStart());

/** The blocks of a formatted text, outermost first. What is no plain head, members and tail has no children. */
function parseBlocks(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length;) {
    const head = lines[i] ?? '';
    const depth = indentOf(head);
    const pastInner = (from: number): number => {
      let at = from;
      while (at < lines.length && indentOf(lines[at] ?? '') > depth) at++;
      return at;
    };
    let end = pastInner(i + 1);
    const isPlain = !opensAgain(lines[end] ?? '');
    while (opensAgain(lines[end] ?? '')) end = pastInner(end + 1);
    const tail = closes(lines[end]) ? lines[end] : undefined;
    const next = tail === undefined ? end : end + 1;
    const inner = isPlain && tail !== undefined ? parseBlocks(lines.slice(i + 1, end)) : [];
    blocks.push({ text: lines.slice(i, next).join('\n'), head, children: inner, tail });
    i = next;
  }
  return blocks;
}

/**
 * The declarations of a text, each of at most `maxLength` characters. A longer one becomes several with the same
 * head and tail, each with some of its members in their order; a member that is too long even alone is divided in the
 * same way, or left out where it can't be.
 */
export function declarations(text: string, maxLength: number): string[] {
  return parseBlocks(withoutComments(text).split('\n')).flatMap((block) => divide(block, maxLength));
}

function divide(block: Block, maxLength: number): string[] {
  if (block.text.length <= maxLength) return [block.text];
  if (block.tail === undefined || block.children.length === 0) return [];
  const room = maxLength - block.head.length - block.tail.length - 2;
  const wrap = (inner: readonly string[]): string => [block.head, ...inner, block.tail].join('\n');
  const parts: string[] = [];
  let group: string[] = [];
  let length = 0;
  const close = (): void => {
    if (group.length > 0) parts.push(wrap(group));
    group = [];
    length = 0;
  };
  for (const child of block.children) {
    const pieces = divide(child, room);
    const isWhole = pieces.length === 1 && pieces[0] === child.text;
    for (const piece of pieces) {
      if (!isWhole || length + piece.length + 1 > room) close();
      group.push(piece);
      length += piece.length + 1;
      if (!isWhole) close();
    }
  }
  close();
  return parts;
}
