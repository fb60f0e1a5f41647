import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { declarations, withoutComments } from './chunks.ts';

/** An interface with members that are lines or objects of further members. */
interface Tree {
  name: string;
  members: Tree[];
}
const tree = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    name: fc.stringMatching(/^[a-z]{1,12}$/),
    members: fc.oneof(
      { depthSize: 'small' },
      fc.constant<Tree[]>([]),
      fc.array(tie('tree'), { maxLength: 6 }),
    ),
  }),
})).tree;

function write({ name, members }: Tree, indent: string): string {
  if (members.length === 0) return `${indent}${name}: string;`;
  return `${indent}${name}: {\n${members.map((each) => write(each, `${indent}  `)).join('\n')}\n${indent}};`;
}
const file = fc.array(tree, { minLength: 1, maxLength: 3 }).map((trees) =>
  trees
    .map(({ name, members }) => {
      const inner = members.map((each) => `${write(each, '  ')}\n`).join('');
      return inner === '' ? `interface ${name} {}` : `interface ${name} {\n${inner}}`;
    })
    .join('\n'),
);

const leaves = (text: string): string[] => text.split('\n').filter((line) => line.endsWith('string;'));

describe('declarations', () => {
  it('that fit are given as they stand', () => {
    fc.assert(
      fc.property(file, (text) => {
        expect(declarations(text, Infinity).join('\n')).toBe(text);
      }),
    );
  });

  it('are cut to the length, with braces that close, and no member is lost that fits with its heads', () => {
    fc.assert(
      fc.property(file, fc.integer({ min: 60, max: 300 }), (text, maxLength) => {
        const pieces = declarations(text, maxLength);
        for (const piece of pieces) {
          expect(piece.length).toBeLessThanOrEqual(maxLength);
          expect(piece.split('{').length).toBe(piece.split('}').length);
        }
        const given = pieces.flatMap(leaves);
        const all = leaves(text);
        let at = 0;
        for (const leaf of given) {
          at = all.indexOf(leaf, at) + 1;
          expect(at).toBeGreaterThan(0);
        }
        if (maxLength > 200 && !/^ {8}/m.test(text)) expect(given).toEqual(all);
      }),
    );
  });

  it('keep what stands on several lines together', () => {
    const text = 'type A =\n  | "a"\n  | "b";\ninterface B {\n  c: (\n    | "d"\n    | "e"\n  )[];\n}';
    expect(declarations(text, 100)).toEqual([
      'type A =\n  | "a"\n  | "b";',
      'interface B {\n  c: (\n    | "d"\n    | "e"\n  )[];\n}',
    ]);
  });

  it('that close and open again are kept whole or left out', () => {
    const both = '  b: {\n    c: string;\n  } & {\n    d: string;\n  };';
    const text = `interface A {\n${both}\n  e: string;\n}`;
    expect(declarations(text, 100)).toEqual([text]);
    expect(declarations(text, 60)).toEqual([`interface A {\n  e: string;\n}`]);
    const head = 'interface F<\n  G = string,\n> {\n  h: G;\n}';
    expect(declarations(head, 100)).toEqual([head]);
    expect(declarations('interface I {\n}\ntype J = string;', 100)).toEqual([
      'interface I {\n}',
      'type J = string;',
    ]);
  });
});

describe('withoutComments', () => {
  it('leaves addresses in strings alone', () => {
    expect(withoutComments('/** a\n * b */\na: "https://b.c"; // d\n\n// e\n  f: string;\r\n')).toBe(
      'a: "https://b.c";\n  f: string;',
    );
  });
});
