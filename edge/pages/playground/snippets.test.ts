import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DEFAULT_SETTINGS, requestFor, watched } from './settings.ts';
import { snippet } from './snippets.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidar-snippets-'));
afterAll(() => rmSync(folder, { recursive: true }));
// Prints its arguments, one a line as JSON, where a shell finds curl.
writeFileSync(
  join(folder, 'curl'),
  '#!/bin/sh\nexec "$NODE" -e "console.log(JSON.stringify(process.argv.slice(1)))" -- "$@"\n',
  {
    mode: 0o755,
  },
);

const QUESTIONS = ["Who's there?", 'a "quoted" word', '$HOME `id` \\n', 'two\nlines', 'ü 🌊'];
const settings = {
  ...DEFAULT_SETTINGS,
  schema: '{"type":"object","properties":{"n":{"const":null}}}',
  seed: '7',
};
const requestOf = (content: string) => requestFor(settings, 'demo', [{ role: 'user', content }]);

describe('the request as code', () => {
  it.each(QUESTIONS)('for a shell is the request, whatever is asked: %j', (question) => {
    const request = requestOf(question);
    const env = {
      PATH: `${folder}${delimiter}${process.env['PATH']}`,
      NODE: process.execPath,
      TIDAR_KEY: 'k',
    };
    const output = execFileSync('sh', ['-c', snippet('curl', 'http://edge', request)], {
      env,
      encoding: 'utf8',
    });
    const args = JSON.parse(output) as string[];
    expect(args[0]).toBe('http://edge/v1/chat/completions');
    expect(args).toContain('Authorization: Bearer k');
    expect(JSON.parse(args.at(-1) ?? '')).toEqual(request.body);
  });

  it.each(QUESTIONS)('in Python spells every value as Python does: %j', (question) => {
    const request = requestOf(question);
    const code = snippet('Python', 'http://edge', request);
    // As JSON again: names of values, and the comma that may stand behind the last.
    const lines = code.slice(code.indexOf('create(') + 'create('.length, code.lastIndexOf('\n)'));
    const json = lines
      .replaceAll(/^ {4}(\w+)=/gm, '"$1": ')
      .replaceAll(/: None,$/gm, ': null,')
      .replaceAll(/,(?=\s*[}\]])/g, '')
      .replace(/,\s*$/, '');
    const { extra_body: extra, ...own } = JSON.parse(`{${json}}`) as Record<string, unknown>;
    expect({ ...own, ...(extra as object) }).toEqual(request.body);
  });

  it('never asks for a trace, which the page alone asks for', () => {
    expect(JSON.stringify(requestOf('x'))).not.toContain('trace');
    expect(watched(requestOf('x')).body).toMatchObject({ stream: true, tidar: { trace: 'full' } });
  });

  it('says below full trust which plan has a text', () => {
    const { body } = requestFor({ ...DEFAULT_SETTINGS, beta: 0.5, plan: 'auto' }, 'demo', []);
    expect(body['tidar']).toEqual({ decoder: 'tidar', plan: 'dense', beta: 0.5 });
  });
});
