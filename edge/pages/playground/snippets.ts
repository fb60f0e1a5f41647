import type { Prepared } from './settings.ts';

export const LANGUAGES = ['curl', 'JavaScript', 'Python'] as const;
export type Language = (typeof LANGUAGES)[number];

/** The request as one would write it; the key comes from the environment. */
export function snippet(language: Language, origin: string, { path, body }: Prepared): string {
  switch (language) {
    case 'curl':
      return curl(origin + path, body);
    case 'JavaScript':
      return javascript(`${origin}/v1`, path, body);
    case 'Python':
      return python(`${origin}/v1`, path, body);
  }
}

function curl(url: string, body: object): string {
  const json = JSON.stringify(body, null, 2).replaceAll("'", String.raw`'\''`);
  return [
    `curl ${url} \\`,
    `  -H "Authorization: Bearer $TIDAR_KEY" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d '${json}'`,
  ].join('\n');
}

const method = (path: string): string => (path.includes('/chat/') ? 'chat.completions' : 'completions');
const answerOf = (path: string): string =>
  path.includes('/chat/') ? 'choices[0].message.content' : 'choices[0].text';

function javascript(baseUrl: string, path: string, body: object): string {
  return [
    `import OpenAI from 'openai';`,
    ``,
    `const client = new OpenAI({ baseURL: '${baseUrl}', apiKey: process.env.TIDAR_KEY });`,
    `const answer = await client.${method(path)}.create(${JSON.stringify(body, null, 2)});`,
    `console.log(answer.${answerOf(path)});`,
  ].join('\n');
}

/** The client takes what OpenAI has no name for as `extra_body`. */
function python(baseUrl: string, path: string, body: Record<string, unknown>): string {
  const { tidar, ...own } = body;
  const lines = Object.entries(own).map(([name, value]) => `    ${name}=${literal(value, 1)},`);
  return [
    `import os`,
    `from openai import OpenAI`,
    ``,
    `client = OpenAI(base_url="${baseUrl}", api_key=os.environ["TIDAR_KEY"])`,
    `answer = client.${method(path)}.create(`,
    ...lines,
    `    extra_body=${literal({ tidar }, 1)},`,
    `)`,
    `print(answer.${answerOf(path)})`,
  ].join('\n');
}

/** JSON as Python writes it. */
function literal(value: unknown, depth: number): string {
  const indent = '    '.repeat(depth);
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) {
    const items = value.map((item) => `${indent}    ${literal(item, depth + 1)},\n`);
    return items.length === 0 ? '[]' : `[\n${items.join('')}${indent}]`;
  }
  if (typeof value === 'object') {
    const items = Object.entries(value).map(
      ([name, item]) => `${indent}    ${JSON.stringify(name)}: ${literal(item, depth + 1)},\n`,
    );
    return items.length === 0 ? '{}' : `{\n${items.join('')}${indent}}`;
  }
  return JSON.stringify(value);
}
