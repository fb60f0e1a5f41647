import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_QUESTION } from '../../../../test/support/open-question.ts';
import type { ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import { loadModelFolder } from '../../model/folder.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { ar } from '../plan.ts';
import type { Plan } from '../plan.ts';
import { namedPlan } from '../planner/named-plans.ts';
import type { NamedPlan } from '../planner/named-plans.ts';
import type { Sequence } from '../sequence.ts';
import { Alone, sampled } from '../testing.ts';
import { GrammarCompiler } from './grammar-compiler.ts';
import type { GrammarSpec } from './spec.ts';

const DEMO = fileURLToPath(new URL('../../../models/demo', import.meta.url));
const PERSON = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 12 },
    age: { type: 'integer', minimum: 0, maximum: 120 },
    pets: { type: 'array', items: { enum: ['cat', 'dog'] }, maxItems: 3 },
  },
  required: ['name', 'age', 'pets'],
  additionalProperties: false,
};
const SPECS: Record<string, GrammarSpec> = {
  'a JSON schema': { type: 'json_schema', schema: PERSON },
  'a regular expression': { type: 'regex', pattern: '(dog|king)s? [0-9]{2,4}(, [a-z]+){3}' },
  'an EBNF grammar': { type: 'grammar', ebnf: 'root ::= "yes, " [a-z ]{8,20} "." | "no: " [0-9]{3}' },
};

describe('drafts under a grammar', () => {
  let session: ModelSession;
  let tokenizer: Tokenizer;
  let compiler: GrammarCompiler;
  beforeAll(async () => {
    const folder = loadModelFolder(DEMO);
    session = await openModel(folder, { numThreads: 1 });
    tokenizer = folder.tokenizer!;
    compiler = await GrammarCompiler.create(tokenizer, folder.config);
  });
  afterAll(() => session.dispose());

  async function decode(spec: GrammarSpec, seed: bigint, next: (sequence: Sequence) => Plan) {
    const alone = new Alone(session, {
      promptIds: tokenizer.encodeChat([{ role: 'user', content: OPEN_QUESTION }]),
      maxTokens: 120,
      sampling: sampled({ temperature: 1, seed }),
      stopTokenIds: new Set(session.config.eosTokenIds),
      grammar: (await compiler.compile(spec)).start(),
    });
    const tokenIds = await alone.decode(next);
    alone.sequence.dispose();
    return { tokenIds, finishReason: alone.sequence.finishReason };
  }

  const drafted =
    (name: NamedPlan) =>
    ({ drafts, numRemainingTokens }: Sequence): Plan =>
      namedPlan(name, 8, { drafts, numRemainingTokens, numPositions: Infinity });

  it.each(Object.keys(SPECS))('only lose, never break it: %s', async (name) => {
    const spec = SPECS[name]!;
    const texts = new Set<string>();
    for (const seed of [1n, 2n, 3n]) {
      const plain = await decode(spec, seed, () => ar());
      for (const plan of ['dense', 'sparse', 'branches', 'two-pass'] as const) {
        expect(await decode(spec, seed, drafted(plan))).toEqual(plain);
      }
      const text = tokenizer.decode(plain.tokenIds);
      texts.add(text);
      if (plain.finishReason !== 'stop') continue;
      if (spec.type === 'regex') expect(text).toMatch(new RegExp(`^(?:${spec.pattern})$`));
      if (spec.type === 'json_schema') expect(new Ajv().validate(PERSON, JSON.parse(text))).toBe(true);
      if (spec.type === 'grammar') expect(text).toMatch(/^(yes, [a-z ]{8,20}\.|no: \d{3})$/);
    }
    expect(texts.size).toBeGreaterThan(1);
  });
});
