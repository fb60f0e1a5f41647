import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './repository-files.ts';

export interface Copy {
  /** The stage that it comes from; absent: the repository. */
  readonly from?: string;
  readonly sources: readonly string[];
  readonly target: string;
}

/** What one `FROM` begins. */
export interface Stage {
  readonly base: string;
  readonly name?: string;
  readonly copies: Copy[];
  readonly runs: string[];
  readonly env: Record<string, string>;
  /** The last one of each of the other instructions, as it is written. */
  readonly last: Record<string, string>;
}

/** A Dockerfile of this repository, as far as its tests follow it. */
export function readDockerfile(path: string): Stage[] {
  const text = readFileSync(join(repositoryRoot, path), 'utf8');
  const lines = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\s*\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stages: Stage[] = [];
  for (const line of lines) {
    const [, instruction = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    if (instruction === 'FROM') {
      const [, base = '', name] = /^(\S+)(?: AS (\S+))?$/.exec(rest) ?? [];
      stages.push({ base, ...(name === undefined ? {} : { name }), copies: [], runs: [], env: {}, last: {} });
    } else addTo(stages.at(-1), instruction, rest);
  }
  return stages;
}

export function finalStage(stages: readonly Stage[]): Stage {
  const stage = stages.at(-1);
  if (stage === undefined) throw new Error('the Dockerfile has no stage');
  return stage;
}

function addTo(stage: Stage | undefined, instruction: string, rest: string): void {
  // An ARG may stand before the first FROM.
  if (stage === undefined) return;
  if (instruction === 'COPY') {
    const words = rest.split(' ');
    const from =
      words[0]?.startsWith('--from=') === true ? words.shift()?.slice('--from='.length) : undefined;
    const copy = {
      sources: words.slice(0, -1),
      target: words.at(-1) ?? '',
      ...(from === undefined ? {} : { from }),
    };
    stage.copies.push(copy);
  } else if (instruction === 'RUN') {
    stage.runs.push(rest);
  } else if (instruction === 'ENV') {
    for (const [, name = '', value = ''] of rest.matchAll(/(\w+)=(\S+)/g)) stage.env[name] = value;
  } else {
    stage.last[instruction] = rest;
  }
}
