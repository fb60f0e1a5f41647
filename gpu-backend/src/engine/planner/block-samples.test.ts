import { describe, expect, it } from 'vitest';
import { AcceptanceTable } from './acceptance-table.ts';
import { BlockSamples, NUM_SAMPLES } from './block-samples.ts';

describe('samples of blocks', () => {
  it('forget where a longer block ended the text once shorter ones stand in its place: else blocks never grow', () => {
    const samples = new BlockSamples(new AcceptanceTable(), 16);
    const bins = new Uint8Array(16).fill(9);
    const numBlocks = 4 * NUM_SAMPLES;
    for (let block = 0; block < numBlocks; block++) samples.add(0, bins, 12, 9);
    expect(samples.end(0, 0)).toBe(9);
    for (let block = 0; block < numBlocks; block++) samples.add(0, bins, 4, 0);
    for (let sample = 0; sample < NUM_SAMPLES; sample++) expect(samples.end(0, sample)).toBe(0);
  });
});
