import { describe, expect, it } from 'vitest';
import { WorkQueue } from './queue.ts';

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

describe('work for a GPU', () => {
  it('is done in the order in which it was given, whoever waits for it', async () => {
    const queue = new WorkQueue();
    const done: number[] = [];
    const work = (name: number) => async (): Promise<void> => {
      await pause();
      done.push(name);
    };
    queue.push(work(1));
    const second = queue.run(work(2));
    queue.push(work(3));
    const last = queue.run(async () => done.length);
    expect(done).toEqual([]);
    await second;
    expect(done).toEqual([1, 2]);
    expect(await last).toBe(3);
  });

  it('that is waited for fails alone; what nobody waited for fails all that comes after it', async () => {
    const queue = new WorkQueue();
    await expect(queue.run(() => Promise.reject(new Error('a pass')))).rejects.toThrow('a pass');
    expect(await queue.run(async () => 'on')).toBe('on');
    queue.push(() => Promise.reject(new Error('a copy')));
    let isDone = false;
    queue.push(async () => void (isDone = true));
    await expect(queue.run(async () => 'on')).rejects.toThrow('a copy');
    await expect(queue.run(async () => 'on')).rejects.toThrow('a copy');
    expect(isDone).toBe(false);
  });
});
