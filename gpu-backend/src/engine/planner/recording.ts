import { z } from 'zod';
import type { Draft } from '../sequence.ts';

/**
 * Acceptance of a model on texts: for every place in a text, what a block of masks there drafted. The block after
 * `known` tokens of the completion stands at the place of token `known` (from 0), so its draft i is for token
 * known + 1 + i. Any plan can be replayed from that: which drafts a step has follows from the tokens that their block
 * knew, whatever plan it was part of (but for blocks shorter than those recorded, which are taken to be their start).
 */
const blockSchema = z.object({
  margins: z.array(z.number().min(0)),
  /** 1: the draft is the text's token; 2: its second best is; 0: neither, or the text ends before. */
  hits: z.array(z.int().min(0).max(2)),
  /** Index of the first draft that is an end token, -1: none is. */
  end: z.int().min(-1),
});
const sequenceSchema = z.object({ numTokens: z.int().min(1), blocks: z.array(blockSchema) });
export const recordingSchema = z.object({
  version: z.literal(1),
  model: z.string(),
  blockSize: z.int().min(2),
  sequences: z.array(sequenceSchema).min(1),
});

export type RecordedBlock = z.infer<typeof blockSchema>;
export type RecordedSequence = z.infer<typeof sequenceSchema>;
export type Recording = z.infer<typeof recordingSchema>;

/**
 * Records one completion. It is to be decoded with one draft row and one block of masks in every step (also in the
 * one that ends the prompt), so that every place gets its block.
 */
export class SequenceRecorder {
  readonly #blocks: (readonly Draft[])[] = [];

  /** The drafts that a step gave, in turn from the first step. */
  add(drafts: readonly Draft[]): void {
    this.#blocks.push(drafts);
  }

  /** Compares with the completion, its end token included. */
  finish(completionIds: readonly number[], endTokenIds: ReadonlySet<number>): RecordedSequence {
    const blocks = this.#blocks.map((drafts, known): RecordedBlock => {
      const hits = drafts.map((draft, index) => {
        const tokenId = completionIds[known + 1 + index];
        if (tokenId === undefined) return 0;
        if (draft.tokenId === tokenId) return 1;
        return draft.secondBest === tokenId ? 2 : 0;
      });
      const margins = drafts.map(({ margin }) => Math.min(99, Math.round(margin * 100) / 100));
      return { margins, hits, end: drafts.findIndex((draft) => endTokenIds.has(draft.tokenId)) };
    });
    return { numTokens: completionIds.length, blocks };
  }
}
