import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../model/testing/temporary-folder.ts';
import { writeLines } from '../testing.ts';
import type { GenerateItem } from './item.ts';
import { loadTaskFlag } from './load.ts';
import { runProgram } from './run-program.ts';

const hasPython = spawnSync('python3', ['--version']).status === 0;

describe('a program that a model wrote', () => {
  it('is right if it ends well, wrong if it throws, does not parse or does not end', async () => {
    expect(await runProgram('javascript', 'if (1 + 1 !== 2) throw new Error();')).toBe(true);
    expect(await runProgram('javascript', 'throw new Error();')).toBe(false);
    expect(await runProgram('javascript', 'const = 1;')).toBe(false);
    expect(await runProgram('javascript', 'for (;;);', 500)).toBe(false);
    expect(await runProgram('javascript', 'setInterval(() => {}, 1000);', 500)).toBe(false);
  });

  it('in JavaScript reads and writes no file and starts nothing, and has no environment', async () => {
    process.env['TIDAR_TEST_SECRET'] = 'x';
    const fails = (code: string): string =>
      `let ok = false; try { ${code} } catch { ok = true } if (!ok) throw 1;`;
    const head = "import fs from 'node:fs'; import { spawnSync } from 'node:child_process';";
    for (const code of ["fs.readFileSync('/etc/hostname')", "fs.writeFileSync('x', '')", "spawnSync('true')"])
      expect(await runProgram('javascript', `${head} ${fails(code)}`)).toBe(true);
    const program = 'if (process.env.TIDAR_TEST_SECRET !== undefined) throw 1;';
    expect(await runProgram('javascript', program)).toBe(true);
    delete process.env['TIDAR_TEST_SECRET'];
  });

  it.skipIf(!hasPython)(
    'in HumanEval’s form is judged by its test: as a continuation, and as a fenced whole',
    async () => {
      const line = {
        task_id: 'HumanEval/0',
        prompt: 'from typing import List\n\n\ndef add(numbers: List[int]) -> int:\n    """ Adds. """\n',
        entry_point: 'add',
        test: 'def check(candidate):\n    assert candidate([1, 2]) == 3\n',
      };
      const path = writeLines(join(temporaryFolder(), 'HumanEval.jsonl'), [line]);
      const { items, spec } = loadTaskFlag(`${path}:code:python`);
      const { isRight } = items[0] as GenerateItem;
      expect(spec).toMatchObject({ prompt: 'raw', stop: expect.arrayContaining(['\ndef']) as unknown });
      expect(await isRight('    return sum(numbers)\n')).toBe(true);
      expect(await isRight('    return 3\n')).toBe(true);
      expect(await isRight('    return 4\n')).toBe(false);
      expect(
        await isRight(
          'Sure:\n```python\ndef add(numbers: List[int]):\n    return sum(numbers)\n```\nThat is it.',
        ),
      ).toBe(true);
      expect(await isRight('Sure:\n```python\n    return 4\n```')).toBe(false);
    },
  );

  it('in another language has its own test', async () => {
    const line = { prompt: 'function add(a, b) {\n', test: 'if (add(1, 2) !== 3) throw new Error();' };
    const path = writeLines(join(temporaryFolder(), 'js.jsonl'), [line]);
    const { isRight } = loadTaskFlag(`${path}:code:javascript`).items[0] as GenerateItem;
    expect(await isRight('  return a + b;\n}')).toBe(true);
    expect(await isRight('  return a - b;\n}')).toBe(false);
  });
});
