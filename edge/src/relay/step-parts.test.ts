import type { ToolCallPiece } from '@tidar/shared/chat.ts';
import type { StepEvent } from '@tidar/shared/protocol.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sizeOf, withoutFirst } from './step-parts.ts';

const piece = fc.record({
  index: fc.nat(2),
  head: fc.option(
    fc.record({ id: fc.constant('call_1'), name: fc.constantFrom<string[]>('a', 'get_weather') }),
    {
      nil: undefined,
    },
  ),
  arguments: fc.string({ maxLength: 6 }),
});
const steps = fc.record({
  text: fc.string(),
  reasoning: fc.string(),
  pieces: fc.array(piece, { maxLength: 3 }),
});

function stepOf({
  text,
  reasoning,
  pieces,
}: typeof steps extends fc.Arbitrary<infer T> ? T : never): StepEvent {
  const calls = pieces.map(({ index, head, arguments: more }): ToolCallPiece => ({
    index,
    ...head,
    arguments: more,
  }));
  return {
    type: 'step',
    choice: 0,
    token_ids: [],
    text,
    ...(reasoning === '' ? {} : { reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

/** All that a step tells, one character after the other; the beginning of a call comes as a whole. */
function spelled({ text, reasoning = '', tool_calls: calls = [] }: StepEvent): string[] {
  return [
    ...reasoning.split('').map((char) => `r${char}`),
    ...text.split('').map((char) => `t${char}`),
    ...calls.flatMap(({ index, id, name = '', arguments: more }) => [
      ...name.split('').map((char, at) => `${index}${at === 0 ? `${id}/${name}` : ''}n${char}`),
      ...more.split('').map((char) => `${index}a${char}`),
    ]),
  ];
}

describe('a step', () => {
  it('without its first characters has exactly the others, thoughts before text before calls', () => {
    fc.assert(
      fc.property(steps, fc.nat(80), (parts, numCharacters) => {
        const step = stepOf(parts);
        const all = spelled(step);
        expect(sizeOf(step)).toBe(all.length);
        const rest = withoutFirst(step, numCharacters);
        const left = all.slice(numCharacters);
        // The name of a call that the reader has begun to get is one that he has.
        const isWhole = left.findIndex((each) => !/^\dn/.test(each));
        const cutName = /^\dn/.test(left[0] ?? '')
          ? left.slice(isWhole === -1 ? left.length : isWhole)
          : left;
        expect(spelled(rest)).toEqual(cutName);
      }),
    );
  });

  it('that brings nothing but calls is of their size', () => {
    const step = stepOf({
      text: '',
      reasoning: '',
      pieces: [{ index: 0, head: { id: 'call_1', name: 'ab' }, arguments: '{' }],
    });
    expect(sizeOf(step)).toBe(3);
    expect(withoutFirst(step, 3)).toEqual({ type: 'step', choice: 0, token_ids: [], text: '' });
    expect(withoutFirst(step, 2).tool_calls).toEqual([{ index: 0, arguments: '{' }]);
    expect(withoutFirst(step, 0)).toEqual(step);
  });
});
