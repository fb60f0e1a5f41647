import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Forgetting } from './forgetting.ts';

function begin(graceMs: number): { forgetting: Forgetting; forgotten: number[] } {
  const forgotten: number[] = [];
  return { forgetting: new Forgetting((id) => forgotten.push(id), graceMs), forgotten };
}

describe('a text that is not to be stored', () => {
  it('is deleted once, when its reader has all of it', () => {
    const { forgetting, forgotten } = begin(60_000);
    forgetting.add(1);
    forgetting.onReader(1);
    forgetting.onClosed(1);
    expect(forgotten).toEqual([]);
    forgetting.onReaderGone(1, true);
    forgetting.finishAll();
    expect(forgotten).toEqual([1]);
  });

  it('is not deleted while somebody reads it, however long he takes', async () => {
    const { forgetting, forgotten } = begin(10);
    forgetting.add(1);
    for (const _ of [1, 2]) forgetting.onReader(1);
    forgetting.onClosed(1);
    forgetting.onReaderGone(1, true);
    await sleep(60);
    expect(forgotten).toEqual([]);
    forgetting.onReaderGone(1, false);
    await sleep(60);
    expect(forgotten).toEqual([1]);
  });

  it('waits for a reader who left, for the grace; one more in time keeps it', async () => {
    const { forgetting, forgotten } = begin(40);
    forgetting.add(1);
    forgetting.onReader(1);
    forgetting.onClosed(1);
    forgetting.onReaderGone(1, false);
    forgetting.onReader(1);
    await sleep(120);
    expect(forgotten).toEqual([]);
    forgetting.onReaderGone(1, true);
    expect(forgotten).toEqual([1]);
  });

  it('stays as long as it runs, and others are no matter of it', () => {
    const { forgetting, forgotten } = begin(60_000);
    forgetting.add(1);
    forgetting.onReader(1);
    forgetting.onReaderGone(1, false);
    forgetting.onReader(2);
    forgetting.onClosed(2);
    forgetting.onReaderGone(2, true);
    forgetting.finishAll();
    expect(forgotten).toEqual([]);
  });
});
