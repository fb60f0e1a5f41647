import { describe, expect, it } from 'vitest';
import { recordingSchema, SequenceRecorder } from './recording.ts';

const draft = (tokenId: number, secondBest: number, margin: number) => ({ tokenId, secondBest, margin });

describe('a recording of acceptance', () => {
  it('tells of every block which drafts, or their second best, are the text’s tokens, and where it ends', () => {
    const recorder = new SequenceRecorder();
    recorder.add([draft(6, 0, 1.234), draft(9, 7, Infinity), draft(1, 0, 0.5)]);
    recorder.add([draft(7, 0, 2), draft(1, 0, 3), draft(4, 0, 1)]);
    const sequence = recorder.finish([5, 6, 7, 1], new Set([1]));
    expect(sequence).toEqual({
      numTokens: 4,
      blocks: [
        { margins: [1.23, 99, 0.5], hits: [1, 2, 1], end: 2 },
        { margins: [2, 3, 1], hits: [1, 1, 0], end: 1 },
      ],
    });
    const recording = { version: 1, model: 'a', blockSize: 4, sequences: [sequence] };
    expect(recordingSchema.parse(JSON.parse(JSON.stringify(recording)))).toEqual(recording);
  });
});
