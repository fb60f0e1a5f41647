import { describe, expect, it } from 'vitest';
import { refusal } from '../../../model/testing/tiny-tokenizer.ts';
import { GrammarCompiler } from '../grammar-compiler.ts';
import { BYTE_VOCABULARY, takesText } from '../testing.ts';
import { Xgrammar } from './xgrammar.ts';

const [A, B] = [97, 98];

describe('an aborted wasm', () => {
  it('says so at every call, and lets go of what lived in it', async () => {
    const xgrammar = await Xgrammar.open(BYTE_VOCABULARY);
    const matcher = xgrammar.match(xgrammar.compile('root ::= "ab"'));
    const error = refusal(() => xgrammar.call(() => matcher.Rollback(1)));
    expect([error.code, error.retryable]).toEqual(['internal', true]);
    expect(error.internal).toContain('Intended to rollback 1 tokens');
    expect(error.message).not.toContain('ollback');
    expect(xgrammar.isDead).toBe(true);
    expect(refusal(() => xgrammar.compile('root ::= "ab"')).code).toBe('internal');
  });

  it('fails its texts alone: the next grammar gets a new one', async () => {
    let isBroken = false;
    // A token that changes under the wasm is none of its faults; a mask asked for after the end is one that aborts it.
    const bytesOf = (id: number): Uint8Array | undefined =>
      id === 256 && isBroken ? Uint8Array.of(A) : BYTE_VOCABULARY.bytesOf(id);
    const vocabulary = { size: 257, endTokenIds: [256], bytesOf };
    const compiler = await GrammarCompiler.forVocabulary(vocabulary, { engine: 'xgrammar' });
    const spec = { type: 'regex', pattern: 'ab' } as const;
    const [kept, other] = [
      (await compiler.compile(spec)).start(),
      (await compiler.compile({ type: 'regex', pattern: 'b' })).start(),
    ];
    kept.accept(A);
    kept.accept(B);
    vocabulary.endTokenIds = []; // now the state does not notice the end
    isBroken = true;
    kept.accept(256);
    expect(refusal(() => kept.allowed()).retryable).toBe(true);
    expect(refusal(() => other.allowed()).retryable).toBe(true);
    kept.dispose();
    other.dispose();

    vocabulary.endTokenIds = [256];
    isBroken = false;
    const [again, atOnce] = await Promise.all([
      compiler.compile(spec),
      compiler.compile({ type: 'regex', pattern: 'b' }),
    ]);
    expect([takesText(again.start(), 'ab'), takesText(atOnce.start(), 'b')]).toEqual([true, true]);
  });
});
