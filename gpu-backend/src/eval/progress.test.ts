import { describe, expect, it } from 'vitest';
import { showProgress } from './progress.ts';

function follow(isTTY: boolean, numItems: number): string[] {
  const written: string[] = [];
  const stream = { isTTY, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream;
  const onItem = showProgress(stream);
  for (let done = 1; done <= numItems; done++) onItem('sums', done, numItems);
  return written;
}

describe('progress', () => {
  it('is a bar on a terminal, redrawn at every item and gone at the end', () => {
    const written = follow(true, 60);
    expect(written).toHaveLength(61);
    expect(written[29]).toContain(`\r\u001b[K${'█'.repeat(15)}${'░'.repeat(15)} 30/60 items, sums, `);
    expect(written.at(-1)).toBe('\r\u001b[K');
  });

  it('is at most ten lines where nobody watches, the last one at the end', () => {
    for (const numItems of [3, 60, 1000]) {
      const written = follow(false, numItems);
      expect(written.length).toBeLessThanOrEqual(10);
      expect(written.every((line) => line.endsWith(' left\n'))).toBe(true);
      expect(written.at(-1)).toContain(`${numItems}/${numItems} items`);
    }
  });
});
