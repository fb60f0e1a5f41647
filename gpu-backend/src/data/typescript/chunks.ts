/**
 * A piece of code by its indentation: a line, what stands deeper below it, and the line that closes it. A file that
 * a formatter has written is a forest of these.
 */
interface Block {
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

/** The blocks of a formatted text, outermost first. */
function parseBlocks(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length;) {
    const head = lines[i] ?? '';
    let end = i + 1;
    while (end < lines.length && indentOf(lines[end] ?? '') > indentOf(head)) end++;
    const inner = lines.slice(i + 1, end);
    const closes = inner.length > 0 && end < lines.length && /^[\]})>]/.test((lines[end] ?? '').trimStart());
    blocks.push({ head, children: parseBlocks(inner), tail: closes ? lines[end] : undefined });
    i = closes ? end + 1 : end;
  }
  return blocks;
}

const render = ({ head, children, tail }: Block): string =>
  [head, ...children.map(render), ...(tail === undefined ? [] : [tail])].join('\n');

/**
 * The declarations of a text, each of at most `maxLength` characters. A longer one becomes several with the same
 * head and tail, each with some of its members in their order; a member that is too long even alone is divided in the
 * same way, or left out where it can't be.
 */
export function declarations(text: string, maxLength: number): string[] {
  return parseBlocks(withoutComments(text).split('\n')).flatMap((block) => divide(block, maxLength));
}

function divide(block: Block, maxLength: number): string[] {
  const whole = render(block);
  if (whole.length <= maxLength) return [whole];
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
    const isWhole = pieces.length === 1 && pieces[0] === render(child);
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
