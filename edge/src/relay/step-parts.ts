import type { ToolCallPiece } from '@tidar/shared/chat.ts';
import type { StepEvent } from '@tidar/shared/protocol.ts';

/** What a step adds to an answer: thoughts come before all text, and calls after it. */
type Parts = Pick<StepEvent, 'text' | 'reasoning' | 'tool_calls'>;

/** Characters that a step tells. The beginning of a call is as many as its name has. */
export function sizeOf({ text, reasoning = '', tool_calls: calls = [] }: Parts): number {
  return calls.reduce((sum, call) => sum + sizeOfCall(call), reasoning.length + text.length);
}

const sizeOfCall = ({ name = '', arguments: more }: ToolCallPiece): number => name.length + more.length;

/** The same but for its first characters, which its reader has. */
export function withoutFirst<Step extends Parts>(step: Step, numCharacters: number): Step {
  const { reasoning: thought = '', tool_calls: calls = [], ...rest } = step;
  let left = numCharacters;
  const cut = (text: string): string => {
    const numTaken = Math.min(left, text.length);
    left -= numTaken;
    return text.slice(numTaken);
  };
  const reasoning = cut(thought);
  const text = cut(step.text);
  const rests = calls.flatMap((call) => {
    if (left === 0) return [call];
    const { index, name = '', arguments: more } = call;
    cut(name);
    const argued = cut(more);
    return argued === '' ? [] : [{ index, arguments: argued }];
  });
  return {
    ...(rest as Step),
    text,
    ...(reasoning === '' ? {} : { reasoning }),
    ...(rests.length === 0 ? {} : { tool_calls: rests }),
  };
}
