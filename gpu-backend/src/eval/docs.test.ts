import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../model/testing/temporary-folder.ts';
import { EVAL_HELP } from './flags.ts';
import { tableRows } from './rows.ts';
import type { GenerateItem } from './tasks/item.ts';
import { loadTaskFile, loadTaskFlag, SHIPPED_TASKS } from './tasks/load.ts';
import { taskSpecSchema } from './tasks/spec.ts';

const DOCS = readFileSync(fileURLToPath(new URL('../../../docs/evaluation.md', import.meta.url)), 'utf8');
const blocks = (language: string): string[] =>
  [...DOCS.matchAll(/```(\w+)\n([\s\S]*?)```/g)].flatMap(([, name, text = '']) =>
    name === language ? [text] : [],
  );

describe('docs/evaluation.md', () => {
  it('shows lines that load, each as a task of the type that it stands at', async () => {
    const lines = blocks('jsonlines');
    expect(lines).toHaveLength(5);
    const folder = temporaryFolder();
    const load = (at: number, type: string) => {
      const path = join(folder, 'task.jsonl');
      writeFileSync(path, lines[at] ?? '');
      return loadTaskFlag(`${path}:${type}`).items;
    };
    const [gsm8k] = load(0, 'exact:last-number') as GenerateItem[];
    expect(await gsm8k?.isRight('She sold 72.')).toBe(true);
    expect(load(1, 'code:python')).toHaveLength(1);
    expect(load(2, 'choices')).toHaveLength(2);
    expect(load(3, 'perplexity')).toHaveLength(1);
    const [json] = load(4, 'json') as GenerateItem[];
    expect(await json?.isRight('{"name":"Joe","age":7}')).toBe(true);
    writeFileSync(join(folder, 'gsm8k.jsonl'), lines[0] ?? '');
    writeFileSync(join(folder, 'tasks.json'), blocks('json')[0] ?? '');
    const [task] = loadTaskFile(join(folder, 'tasks.json'));
    expect((task!.items[0] as GenerateItem).prompt).toMatch(/^Question: Natalia [\s\S]*\nAnswer:$/);
  });

  it('names every row, every shipped task with its items, every field of tasks.json and only flags that there are', () => {
    for (const { id } of tableRows(16)) {
      const [, family = id, value] = /^(confidence|threshold|tidar)-([\d.]+)$/.exec(id) ?? [];
      expect(DOCS).toContain(`\`${family}`);
      if (value !== undefined) expect(DOCS).toMatch(new RegExp(`${family}-[\\d.]+\`.*-${value}\`|${id}`));
    }
    for (const { spec, items } of loadTaskFile(SHIPPED_TASKS))
      expect(DOCS).toMatch(new RegExp(`\`${spec.name}\` +\\| \`${spec.type}\` +\\| +${items.length} \\|`));
    const told = ['name', 'title', 'file', 'type'];
    for (const field of Object.keys(taskSpecSchema.unwrap().shape))
      if (!told.includes(field)) expect(DOCS).toMatch(new RegExp(`\\| \`${field}\``));
    for (const [, flag = ''] of DOCS.matchAll(/(?<![\w-])(--[a-z][a-z-]+)/g))
      if (flag !== '--permission') expect(EVAL_HELP).toContain(flag);
  });
});
