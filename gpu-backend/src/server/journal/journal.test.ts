import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { hashTokenIds } from '@tidar/shared/lease.ts';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal } from './journal.ts';
import type { JournalOptions } from './journal.ts';
import type { Entry, NewRecord } from './records.ts';
import { fromBlob, hashTokens, toBlob } from './token-blob.ts';

const HOUR_MS = 3_600_000;
let folder: string;
let path: string;
let open: Journal[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidar-journal-'));
  path = join(folder, 'deep', 'journal.sqlite');
});
afterEach(() => {
  for (const journal of open) journal.close();
  open = [];
  rmSync(folder, { recursive: true });
});

function openJournal(options: Partial<JournalOptions> = {}): Journal {
  const journal = new Journal({ path, retentionMs: HOUR_MS, ...options });
  open.push(journal);
  return journal;
}

const record = (requestId: string, attempt = 0, changes: Partial<NewRecord> = {}): NewRecord => ({
  requestId,
  attempt,
  model: 'm',
  fingerprint: 'fp',
  seed: '18446744073709551615',
  isStored: true,
  request: '{"the":"request"}',
  promptIds: [1, 2, 4_294_967_295],
  resumedIds: [[], []],
  ...changes,
});
const begin = (journal: Journal, ...args: Parameters<typeof record>) =>
  journal.begin(record(...args), (place) => place);
const write = (journal: Journal, id: number, entry: Entry): Promise<unknown> =>
  new Promise((resolve) => journal.write(id, entry, resolve));
const step = (seq: number, choice: number, tokenIds: number[], isLast = false): Entry => ({
  type: 'step',
  seq,
  choice,
  tokenIds,
  isLast,
});
const end = async (...lists: number[][]): Promise<Entry> => ({
  type: 'close',
  state: 'ended',
  numForwardPasses: 3,
  tokenCounts: lists.map(({ length }) => length),
  tokensHash: await hashTokenIds(lists),
});

describe('an attempt', () => {
  it('begins once, and after no higher one, also where the journal was closed in between', () => {
    let journal = openJournal();
    for (const attempt of [0, 2]) begin(journal, 'a', attempt);
    for (const reopened of [false, true]) {
      if (reopened) {
        journal.close();
        journal = openJournal();
      }
      for (const attempt of [0, 1, 2]) {
        expect(() => begin(journal, 'a', attempt)).toThrow(
          expect.objectContaining({ code: 'duplicate_attempt' }),
        );
      }
    }
    begin(journal, 'a', 3);
    begin(journal, 'b', 0);
  });

  it('has not begun where its start threw', () => {
    const journal = openJournal();
    const start = (): never => {
      throw new Error('no room');
    };
    expect(() => journal.begin(record('a'), start)).toThrow('no room');
    expect(journal.find('a', 0)).toBeUndefined();
    begin(journal, 'a');
  });

  it('is there before anything of it starts', () => {
    const journal = openJournal();
    journal.begin(record('a'), () => expect(journal.find('a', 0)).toMatchObject({ state: 'running' }));
  });
});

describe('what was written', () => {
  it('is what was generated: tokens by choice, what they were resumed with first, and how it closed', async () => {
    const journal = openJournal();
    const { id, numSteps } = begin(journal, 'a', 1, { resumedIds: [[7], []] });
    expect(numSteps).toBe(1);
    const lists = [
      [7, 8, 9],
      [5, 4_294_967_295],
    ];
    await Promise.all([
      write(journal, id, { type: 'start', numCachedTokens: 2 }),
      write(journal, id, step(1, 0, [8])),
      write(journal, id, step(2, 1, [5, 4_294_967_295], true)),
      write(journal, id, { type: 'finish', finishReasons: [null, 'stop'] }),
      write(journal, id, step(3, 0, [9], true)),
      write(journal, id, { type: 'finish', finishReasons: ['length', 'stop'] }),
      write(journal, id, await end(...lists)),
    ]);
    expect(journal.tokensOf(id)).toEqual(lists);
    expect(journal.find('a', 1)).toMatchObject({
      state: 'ended',
      numCachedTokens: 2,
      numForwardPasses: 3,
      finishReasons: ['length', 'stop'],
      tokenCounts: [3, 2],
      promptIds: [1, 2, 4_294_967_295],
      seed: '18446744073709551615',
    });
  });

  it('is told of when it is there, in the order of calls, one transaction for all of a turn', async () => {
    const lots: number[] = [];
    const journal = openJournal({ onWrite: (_, numEntries) => lots.push(numEntries) });
    const { id } = begin(journal, 'a');
    const told: number[] = [];
    const turn = (seqs: number[]): Promise<unknown> =>
      Promise.all(
        seqs.map(
          (seq) =>
            new Promise<void>((resolve) => {
              journal.write(id, step(seq, 0, [seq]), () => {
                expect(journal.tokensOf(id)[0]).toContain(seq);
                told.push(seq);
                resolve();
              });
            }),
        ),
      );
    await turn([0, 1, 2]);
    await turn([3, 4]);
    expect(told).toEqual([0, 1, 2, 3, 4]);
    expect(lots).toEqual([3, 2]);
  });

  it('is told of as failed where it cannot be written, and then none of its turn is there', async () => {
    const journal = openJournal();
    const { id } = begin(journal, 'a');
    await write(journal, id, step(0, 0, [1]));
    const failures = await Promise.all([
      write(journal, id, step(1, 0, [2])),
      // A step that is there already.
      write(journal, id, step(0, 0, [3])),
    ]);
    for (const failure of failures) expect(failure).toMatchObject({ code: 'internal' });
    expect(journal.tokensOf(id)).toEqual([[1], []]);
  });

  it('that ran when its process died is marked so, with all of its tokens', async () => {
    const journal = openJournal();
    const { id } = begin(journal, 'a');
    await write(journal, id, step(0, 1, [5]));
    journal.close();
    expect(openJournal().find('a', 0)).toMatchObject({
      state: 'interrupted',
      tokenCounts: [0, 1],
      tokensHash: await hashTokenIds([[], [5]]),
      error: { code: 'backend_unavailable', retryable: true },
    });
  });
});

describe('a journal', () => {
  it('drops what was closed longer ago than it keeps, steps and all, and nothing that runs', async () => {
    const journal = openJournal();
    const places = Array.from({ length: 120 }, (_, index) => begin(journal, `r${index}`));
    await Promise.all(places.map(({ id }) => write(journal, id, step(0, 0, [1]))));
    const closing = await end([1], []);
    await Promise.all(places.slice(1).map(({ id }) => write(journal, id, closing)));
    await journal.prune(Date.now() + HOUR_MS - 60_000);
    expect(journal.numGenerations).toBe(120);
    await journal.prune(Date.now() + HOUR_MS + 60_000);
    expect(journal.numGenerations).toBe(1);
    expect(journal.tokensOf(places[0]!.id)).toEqual([[1], []]);
    expect(journal.steps(places[1]!.id, { from: 0, end: 9, limit: 9 })).toEqual([]);
  });

  it('leaves counts and hash of what it forgets, and no byte of its prompt in the file', async () => {
    const journal = openJournal();
    const secret = 'a prompt that nobody is to find';
    const { id } = begin(journal, 'a', 0, { isStored: false, request: secret });
    await write(journal, id, step(0, 0, [1, 2]));
    await write(journal, id, await end([1, 2], []));
    journal.forget(id);
    expect(journal.find('a', 0)).toMatchObject({
      request: undefined,
      promptIds: undefined,
      tokenCounts: [2, 0],
      tokensHash: await hashTokenIds([[1, 2], []]),
    });
    expect(journal.tokensOf(id)).toEqual([[], []]);
    journal.close();
    expect(readFileSync(path).includes(secret)).toBe(false);
  });

  it('forgets all attempts of one request, none while one of them runs, and of no other', async () => {
    const journal = openJournal();
    const first = begin(journal, 'a', 0);
    await write(journal, first.id, await end([], []));
    const second = begin(journal, 'a', 1);
    begin(journal, 'b', 0);
    expect(journal.forgetRequest('a')).toBeUndefined();
    expect(journal.find('a', 0)?.request).toBeDefined();
    await write(journal, second.id, await end([], []));
    expect(journal.forgetRequest('a')).toBe(2);
    expect([0, 1].map((attempt) => journal.find('a', attempt)?.request)).toEqual([undefined, undefined]);
    expect(journal.find('b', 0)?.request).toBeDefined();
    expect(journal.forgetRequest('a')).toBe(0);
    expect(journal.forgetRequest('c')).toBe(0);
  });

  it('forgets at its start what its process had no time to', () => {
    const journal = openJournal();
    begin(journal, 'a', 0, { isStored: false });
    journal.close();
    expect(openJournal().find('a', 0)).toMatchObject({ state: 'interrupted', request: undefined });
  });

  it('can be read by its owner alone', () => {
    openJournal();
    expect(statSync(path).mode & 0o077).toBe(0);
    expect(statSync(join(folder, 'deep')).mode & 0o077).toBe(0);
  });

  it('of another version, or no journal at all, is refused by a sentence', () => {
    openJournal().close();
    const database = new DatabaseSync(path);
    database.exec('PRAGMA user_version = 99');
    database.close();
    expect(() => openJournal()).toThrow(/is of version 99, this release takes 1: give another file/);
    path = folder;
    expect(() => openJournal()).toThrow(/cannot be opened/);
  });
});

describe('tokens as bytes', () => {
  it('are the tokens again, and their hash is the ledger’s', async () => {
    const tokenIds = fc.array(fc.nat(0xffffffff), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(fc.array(tokenIds, { maxLength: 4 }), async (lists) => {
        for (const list of lists) expect(fromBlob(toBlob(list))).toEqual(list);
        expect(hashTokens(lists)).toBe(await hashTokenIds(lists));
      }),
    );
  });
});
