import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../device/device.ts';
import type { LatencyPoint } from '../engine/planner/latency.ts';
import { GREEDY, openFixture, PROMPT } from '../engine/testing.ts';
import { temporaryFolder } from '../model/testing/temporary-folder.ts';
import { generate } from './generate.ts';
import { rowsToMeasure, withoutBumps } from './planned-engine.ts';
import { deviceKey, openPlanner, PLANNER_FILE } from './planner-file.ts';
import type { OpenedPlanner, OpenPlannerOptions } from './planner-file.ts';
import { soloEngine } from './solo-engine.ts';

interface Kept {
  model: string;
  tables: { key: string; maxSequences: number; latency: { points: { milliseconds: number }[] } }[];
  acceptance: { observed: number[] };
}

let session: ModelSession;
beforeAll(async () => {
  session = await openFixture('llama-tidar');
});
afterAll(() => session.dispose());

function open(path: string, changes: Partial<OpenPlannerOptions> = {}): Promise<OpenedPlanner> {
  const folder = { path, contentHash: 'one' };
  return openPlanner(session, { folder, key: 'here', maxDraftLength: 8, maxSequences: 1, ...changes });
}

const textOf = (path: string): string => readFileSync(join(path, PLANNER_FILE), 'utf8');
const kept = (path: string): Kept => JSON.parse(textOf(path)) as Kept;
const numObserved = (path: string): number => kept(path).acceptance.observed.reduce((sum, n) => sum + n, 0);
const keysOf = (path: string): string[] => kept(path).tables.map(({ key }) => key);

async function write24Tokens({ chooser }: OpenedPlanner): Promise<number> {
  const engine = soloEngine(session, chooser);
  let numTokens = 0;
  const decoder = { type: 'tidar', plan: 'auto', draftLength: 8, beta: 1 } as const;
  const options = { promptIds: PROMPT, maxTokens: 24, decoder, sampling: GREEDY, stopTokenIds: [] };
  for await (const event of generate(engine, options)) {
    if (event.type === 'step') numTokens += event.tokenIds.length;
  }
  engine.dispose();
  return numTokens;
}

describe('what the planner knows', () => {
  it('of weights in fewer bits is kept apart, so that either start finds its own', async () => {
    const path = temporaryFolder();
    const folders = [
      { path, contentHash: 'one' },
      { path, contentHash: 'four', quantization: 'int4' as const },
    ];
    for (const folder of folders) expect((await open(path, { folder })).notes).toHaveLength(1);
    for (const folder of folders) expect((await open(path, { folder })).notes).toEqual([]);
    expect(readdirSync(path).toSorted()).toEqual(['.planner.int4.json', PLANNER_FILE]);
  });

  it('is measured once: the next start finds it in the folder, and only what it was asked to measure anew changes', async () => {
    const path = temporaryFolder();
    expect((await open(path)).notes).toEqual([expect.stringContaining('measured')]);
    const first = textOf(path);
    expect((await open(path)).notes).toEqual([]);
    expect(textOf(path)).toBe(first);
    await open(path, { measure: true });
    expect(textOf(path)).not.toBe(first);
    expect(keysOf(path)).toEqual(['here']);
    expect(readdirSync(path)).toEqual([PLANNER_FILE]);
  });

  it('is kept for each machine apart', async () => {
    const path = temporaryFolder();
    await open(path);
    const [here] = kept(path).tables;
    expect((await open(path, { key: 'there' })).notes).toHaveLength(1);
    expect(keysOf(path)).toEqual(['there', 'here']);
    expect(kept(path).tables[1]).toEqual(here);
    expect((await open(path)).notes).toEqual([]);
  });

  it('of many texts at once does for one, and not the other way round', async () => {
    const path = temporaryFolder();
    await open(path, { maxSequences: 1 });
    expect((await open(path, { maxSequences: 2 })).notes).toHaveLength(1);
    const opened = await open(path, { maxSequences: 1 });
    expect(opened.notes).toEqual([]);
    expect(opened.save()).toBeUndefined();
    expect(kept(path).tables.map(({ maxSequences }) => maxSequences)).toEqual([2]);
  });

  it('of the drafts grows from one start to the next', async () => {
    const path = temporaryFolder();
    const first = await open(path);
    expect(numObserved(path)).toBe(0);
    expect(await write24Tokens(first)).toBe(24);
    expect(first.save()).toBeUndefined();
    const after1 = numObserved(path);
    expect(after1).toBeGreaterThan(0);
    const second = await open(path);
    await write24Tokens(second);
    second.save();
    expect(numObserved(path)).toBeGreaterThan(after1);
  });

  it('is forgotten where the folder holds another model now', async () => {
    const path = temporaryFolder();
    const opened = await open(path);
    await write24Tokens(opened);
    opened.save();
    const { notes } = await open(path, { folder: { path, contentHash: 'two' } });
    expect(notes[0]).toContain('of another model');
    expect(kept(path)).toMatchObject({ model: 'two', tables: [{ key: 'here' }] });
    expect(numObserved(path)).toBe(0);
  });

  it.each<[string, (text: string) => string]>([
    ['is cut short', (text) => text.slice(0, text.length / 2)],
    ['is empty', () => ''],
    ['is of another version', (text) => text.replace('"version":1', '"version":2')],
    ['has another shape', (text) => text.replace('"observed":[', '"observed":[1,')],
    ['has numbers that are none', (text) => text.replace(/"milliseconds":[\d.]+/, '"milliseconds":-1')],
  ])('is replaced, with a note, where its file %s', async (_, spoil) => {
    const path = temporaryFolder();
    await open(path);
    const good = textOf(path);
    writeFileSync(join(path, PLANNER_FILE), spoil(good));
    expect(textOf(path)).not.toBe(good);
    expect((await open(path)).notes).toEqual([
      expect.stringContaining('ignored and replaced'),
      expect.stringContaining('measured'),
    ]);
    expect((await open(path)).notes).toEqual([]);
  });

  it('stays in memory where the folder takes no file: one note, and no error', async () => {
    const path = temporaryFolder();
    rmSync(path, { recursive: true }); // a folder without the right to write would do, but not for root
    const opened = await open(path);
    expect(opened.notes.filter((note) => note.includes('in memory only'))).toHaveLength(1);
    expect(await write24Tokens(opened)).toBe(24);
    expect(opened.save()).toBeUndefined();
    mkdirSync(path);
    expect(opened.save()).toBeUndefined();
    expect(keysOf(path)).toEqual(['here']);
  });
});

describe('what is measured', () => {
  const one = { maxSequences: 1, maxContextTokens: 1024 };
  it('is fewer rows the slower the model is, and never none', () => {
    const rows = [0.1, 1, 10, 100, 10_000].map((ms) => rowsToMeasure(one, ms, 1400));
    expect(rows).toEqual(rows.toSorted((a, b) => b - a));
    expect(rows[0]).toBe(96);
    expect(rows.at(-1)).toBe(16);
    expect(rowsToMeasure({ ...one, maxSequences: 8 }, 1, 6000)).toBe(272);
  });

  it('is never less for more rows, and never more than what the clock said', () => {
    const shape = fc.record({
      numRows: fc.integer({ min: 2, max: 20 }),
      numSequences: fc.integer({ min: 1, max: 2 }),
      numContextTokens: fc.constantFrom(64, 128),
      milliseconds: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 12 }), (points) => {
        const smooth = withoutBumps(points);
        const isSameShape = (a: LatencyPoint, b: LatencyPoint): boolean =>
          a.numSequences === b.numSequences && a.numContextTokens === b.numContextTokens;
        smooth.forEach((point, at) => {
          expect(point.milliseconds).toBeLessThanOrEqual(points[at]!.milliseconds);
          for (const other of smooth.filter((each) => isSameShape(point, each)))
            if (other.numRows >= point.numRows)
              expect(other.milliseconds).toBeGreaterThanOrEqual(point.milliseconds);
        });
        const isRising = points.every((a) =>
          points.every(
            (b) => !isSameShape(a, b) || a.numRows < b.numRows === a.milliseconds < b.milliseconds,
          ),
        );
        if (isRising) expect(smooth).toEqual(points);
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it('is told apart by threads and device', () => {
    const keys = [{ numThreads: 1 }, { numThreads: 2 }, { numThreads: 1, device: 'node-binding' as const }];
    expect(new Set(keys.map(deviceKey)).size).toBe(3);
  });
});
