import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { FlagError } from '../../cli/flags.ts';
import { ADAPTERS, LineError } from './adapters.ts';
import { CHECKERS, CHECKER_NAMES } from './checkers.ts';
import { EXTRACTOR_NAMES } from './extractors.ts';
import type { Item } from './item.ts';
import { TASK_TYPES, taskFileSchema, taskSpecSchema } from './spec.ts';
import type { TaskSpec } from './spec.ts';

export interface Task {
  readonly spec: TaskSpec;
  readonly items: readonly Item[];
  /** Of the file's bytes and of all that the spec says. */
  readonly hash: string;
}

export const SHIPPED_TASKS = fileURLToPath(new URL('../../../tasks/tasks.json', import.meta.url));

/** HumanEval's: what begins at the margin is no longer part of the function. */
const PYTHON_STOPS = ['\nclass', '\ndef', '\n#', '\nif', '\nprint', '\n@', '\nimport', '\nfrom'];

export function loadTaskFile(path: string): Task[] {
  const parsed = taskFileSchema.safeParse(parseJson(readText(path, '--tasks'), path));
  if (!parsed.success) throw new FlagError(`${path}: ${describeIssue(parsed.error)}`);
  const names = parsed.data.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new FlagError(`${path}: there are two tasks "${twice}".`);
  return parsed.data.map((spec) => loadTask(spec, join(dirname(path), spec.file)));
}

/** `FILE:type`, or `FILE:exact:extractor`, or `FILE:code:checker`: a task without a tasks.json. */
export function loadTaskFlag(text: string): Task {
  const [, file = '', type = '', detail] = /^(.+?):([a-z]+)(?::([a-z-]+))?$/.exec(text) ?? [];
  if (file === '' || !TASK_TYPES.some((each) => each === type))
    throw new FlagError(`--task must be FILE:type, the type one of ${TASK_TYPES.join(', ')}; got "${text}".`);
  const isLikelihood = type === 'choices' || type === 'perplexity';
  const isPython = type === 'code' && detail === 'python';
  const parsed = taskSpecSchema.safeParse({
    name: basename(file, extname(file)).replace(/[^\w.-]/g, '_'),
    file,
    type,
    prompt: isLikelihood || type === 'code' ? 'raw' : 'chat',
    ...(isPython ? { stop: PYTHON_STOPS, maxTokens: 512 } : {}),
    ...detailOf(type, detail, text),
  });
  if (!parsed.success) throw new FlagError(`--task ${text}: ${describeIssue(parsed.error)}`);
  return loadTask(parsed.data, file);
}

function detailOf(type: string, detail: string | undefined, text: string): object {
  if (detail === undefined) return {};
  if (type === 'exact') return { extractor: known(EXTRACTOR_NAMES, detail, text) };
  if (type === 'code') return { checker: known(CHECKER_NAMES, detail, text) };
  throw new FlagError(`--task ${text}: only exact and code take a third part.`);
}

function known(names: readonly string[], name: string, text: string): string {
  if (names.includes(name)) return name;
  throw new FlagError(`--task ${text}: "${name}" is none of ${names.join(', ')}.`);
}

/** Code that a model wrote is run where the user says so, never otherwise. */
export function assertMayRun(tasks: readonly Task[], runCode: boolean): void {
  const dangerous = tasks.find(({ spec }) => spec.type === 'code' && CHECKERS[spec.checker].runsCode);
  if (dangerous === undefined || runCode) return;
  throw new FlagError(
    `The task ${dangerous.spec.name} runs code that the model wrote; --run-code allows it (in a container, see docs/evaluation.md).`,
  );
}

export function loadTask(spec: TaskSpec, path: string): Task {
  const text = readText(path, `task ${spec.name}`);
  const items = text.split('\n').flatMap((line, at): Item[] => {
    if (line.trim() === '') return [];
    const place = `${path}, line ${at + 1}`;
    try {
      return [ADAPTERS[spec.type](parseJson(line, place), spec)];
    } catch (error) {
      if (error instanceof LineError) throw new FlagError(`${place}: ${error.message}`, { cause: error });
      throw error;
    }
  });
  if (items.length === 0) throw new FlagError(`${path} has no lines.`);
  const { title: _, isInDomain: __, file: ___, ...deciding } = spec;
  return {
    spec,
    items,
    hash: createHash('sha256').update(JSON.stringify(deciding)).update(text).digest('hex'),
  };
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new FlagError(`${what}: the file ${path} cannot be read (${code}).`, { cause: error });
  }
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new FlagError(`${place}: is not JSON.`);
  }
}

function describeIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  const field = issue?.path.join('.') ?? '';
  return `${field === '' ? '' : `${field}: `}${issue?.message ?? 'is malformed'}.`;
}
