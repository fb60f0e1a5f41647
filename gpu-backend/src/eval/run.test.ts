import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { ForwardOutput, ModelSession } from '../device/device.ts';
import { temporaryFolder } from '../model/testing/temporary-folder.ts';
import { findAbilities } from './abilities.ts';
import { makeFigures } from './figures.ts';
import type { Figures } from './figures.ts';
import type { Models } from './models.ts';
import { ResultsFile } from './results-file.ts';
import { isLossless, isPlanned, tableRows } from './rows.ts';
import { evaluate } from './run.ts';
import type { Plan } from './run.ts';
import { loadTaskFlag } from './tasks/load.ts';
import type { Task } from './tasks/load.ts';
import { makeNonsenseModel, openNonsense, writeLines } from './testing.ts';

const SCHEMA = {
  type: 'object',
  properties: { a: { enum: [1, 2] } },
  required: ['a'],
  additionalProperties: false,
};
/** auto's passes depend on the machine; it has a test of its own. */
const ROWS = tableRows(4).filter((row) => !isPlanned(row));

function makeTasks(): Task[] {
  const folder = temporaryFolder();
  const file = (name: string, lines: object[]): string => writeLines(join(folder, `${name}.jsonl`), lines);
  const tasks = [
    `${file(
      'sums',
      [1, 2, 3].map((n) => ({ question: `What is ${n}?`, answer: `#### ${n}` })),
    )}:exact:after-hashes`,
    `${file(
      'json',
      [1, 2].map((a) => ({ question: 'An object?', schema: SCHEMA, expected: { a } })),
    )}:json`,
    `${file(
      'choices',
      [1, 2, 3].map((answer) => ({ context: 'the', choices: ['a', 'b', 'c', 'd'], answer })),
    )}:choices`,
    `${file(
      'text',
      ['the end of the line', 'and the sea'].map((text) => ({ text })),
    )}:perplexity`,
  ].map(loadTaskFlag);
  return tasks.map((task) => ({ ...task, spec: { ...task.spec, maxTokens: 12 } }));
}

describe('an evaluation', () => {
  let tasks: Task[];
  let plan: Plan;
  beforeEach(() => {
    tasks = makeTasks();
    plan = { tasks, rows: ROWS, limits: { table: 2, headline: 3 }, seed: 1, temperature: 0 };
  });

  async function run(models: Models, of: Plan = plan): Promise<Figures> {
    const abilities = await findAbilities(of.rows, of.tasks, models);
    const results = ResultsFile.open(temporaryFolder(), 'results');
    await evaluate(of, models, abilities, { results });
    return makeFigures(of, abilities, results);
  }

  async function open(...args: Parameters<typeof openNonsense>): Promise<Models> {
    const models = await openNonsense(...args);
    onTestFinished(() => models.dispose());
    return models;
  }

  it.each([0, 1])(
    'has every row answer the same items, AR one token a pass, at temperature %d',
    async (temperature) => {
      const { rows, headline, likelihoods } = await run(await open(makeNonsenseModel()), {
        ...plan,
        temperature,
      });
      expect(rows.map(({ id }) => id)).toEqual(ROWS.map(({ id }) => id));
      for (const { id, tasks: own, mean, notRun } of rows) {
        if (notRun !== undefined) continue;
        expect(Object.entries(own).map(([name, { numItems }]) => `${name} ${numItems}`)).toEqual([
          ...['sums 2', 'json 2', 'text 2'],
        ]);
        expect(mean?.numItems).toBe(4);
        expect(own['text']?.score).toBeUndefined();
        if (id === 'ar') expect(mean?.tokensPerForward).toEqual({ value: 1, low: 1, high: 1 });
      }
      expect(headline.tidar?.numItems).toBe(3 + 2);
      expect(likelihoods.map(({ model, task, numItems }) => [model, task, numItems])).toEqual([
        ['main', 'choices', 3],
        ['main', 'text', 2],
      ]);
    },
  );

  it('scores rows whose text must be AR’s as AR, and each free answer of a decoder without grammars by itself', async () => {
    const { rows } = await run(await open(makeNonsenseModel()));
    const ar = rows.find(({ id }) => id === 'ar');
    for (const row of ROWS.filter(isLossless)) {
      const figures = rows.find(({ id }) => id === row.id);
      if (figures?.notRun === undefined) expect(figures?.mean?.score).toBe(ar?.mean?.score);
    }
    const isFree = (id: string) => rows.find((row) => row.id === id)?.tasks['json']?.isFree;
    expect(
      ['ar', 'tidar-16', 'beta-0', 'left-to-right', 'confidence-2', 'threshold-0.9'].map(isFree),
    ).toEqual([...[false, false, false, false, true, true]]);
    // Held to the schema, even nonsense is an object with one of two values.
    expect(ar?.tasks['json']?.numRight).toBe(1);
  });

  it('says of rows that cannot be run why: no folder, no mask token', async () => {
    const why = ({ rows }: Figures) =>
      rows.flatMap(({ id, notRun }) => (notRun === undefined ? [] : [`${id}: ${notRun}`]));
    expect(why(await run(await open(makeNonsenseModel())))).toEqual([
      'ar-only: no --ar-only folder',
      'speculative: no --draft-model folder',
    ]);
    const plain = await run(await open(makeNonsenseModel({ tidar: undefined })));
    expect(why(plain)).toContain('tidar-4: the model has no mask token (no tidar fields in its config)');
    expect(plain.rows.filter(({ notRun }) => notRun === undefined).map(({ id }) => id)).toEqual(['ar']);
    expect(plain.headline).toEqual({});
  });

  it('runs the AR-only row on its own model, and tells the difference to TiDAR’s score', async () => {
    const models = await openNonsense(makeNonsenseModel());
    const other = await openNonsense(makeNonsenseModel({ num_hidden_layers: 1 }));
    onTestFinished(() => models.dispose());
    onTestFinished(() => other.dispose());
    const { rows, headline } = await run({ ...models, arOnly: other.main });
    expect(rows.find(({ id }) => id === 'ar-only')?.mean?.tokensPerForward.value).toBe(1);
    expect(headline.difference?.value).toBeCloseTo(
      (headline.tidar?.score ?? 0) - (headline.arOnly?.score ?? 0),
    );
  });

  it('ends with the item where TiDAR’s text is not AR’s', async () => {
    const models = await open(makeNonsenseModel(), (session) => new WrongInLongRuns(session));
    const rows = ROWS.filter(({ id }) => id === 'ar' || id === 'tidar-4');
    await expect(run(models, { ...plan, rows })).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(
        /^TiDAR 4 gave another text than AR: sums, item 1, token \d+\.$/,
      ) as unknown,
    });
    // The law binds β = 1 alone.
    const free = ROWS.filter(({ id }) => id === 'ar' || id === 'beta-0.5');
    await expect(run(models, { ...plan, rows: free })).resolves.toBeDefined();
  });

  it('has items with noise of their own, the same for all rows and in every run with the seed', async () => {
    const models = await open(makeNonsenseModel());
    const [, , , text] = tasks;
    const sameText = { ...text!, items: Array.from({ length: 4 }, () => text!.items[0]!) };
    const rows = ROWS.filter(({ id }) => id === 'ar');
    const texts = async (seed: number): Promise<string[]> => {
      const own = {
        ...plan,
        rows,
        tasks: [sameText],
        seed,
        temperature: 1,
        limits: { table: 4, headline: 4 },
      };
      const results = ResultsFile.open(temporaryFolder(), 'results');
      await evaluate(own, models, await findAbilities(rows, [sameText], models), { results });
      return [0, 1, 2, 3].map((index) => results.get('text', index)?.answers['ar']?.text ?? '');
    };
    const first = await texts(1);
    expect(new Set(first).size).toBe(4);
    expect(await texts(1)).toEqual(first);
    expect(await texts(2)).not.toEqual(first);
  });
});

/** A device whose runs of many rows compute something else. */
class WrongInLongRuns implements ModelSession {
  readonly config;
  readonly numBytesPerColumn;
  readonly maxCandidates;
  readonly createCache;
  readonly dispose;
  readonly run: ModelSession['run'];

  constructor(session: ModelSession) {
    ({ config: this.config, numBytesPerColumn: this.numBytesPerColumn } = session);
    this.maxCandidates = session.maxCandidates;
    this.createCache = session.createCache.bind(session);
    this.dispose = session.dispose.bind(session);
    this.run = async (cache, batch): Promise<ForwardOutput> => {
      const output = await session.run(cache, batch);
      if (batch.numRows < 18 || batch.numRows > 24) return output; // blocks of 4, and no prompt
      const logits = (index: number): Float32Array => output.logits(index).map((value) => -value);
      return { logits, candidates: (index) => output.candidates(index) };
    };
  }
}
