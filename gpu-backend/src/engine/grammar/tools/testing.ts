import type { CallFormName } from '../../../model/answer/forms.ts';
import { markNames } from '../../../model/answer/forms.ts';
import type { AnswerParts } from '../../../model/answer/parser.ts';
import { AnswerParser } from '../../../model/answer/parser.ts';
import { textParametersOf } from '../../../model/answer/xml-scanner.ts';
import { GrammarCompiler } from '../grammar-compiler.ts';
import type { ToolCallsSpec } from '../spec.ts';
import { BYTE_VOCABULARY } from '../testing.ts';
import type { Vocabulary } from '../vocabulary.ts';

export const TOOLS = [
  {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 6 }, days: { type: 'integer', maximum: 9 } },
      required: ['city'],
    },
    strict: true,
  },
  { name: 'now', strict: true },
  {
    name: 'note',
    parameters: {
      properties: { text: { $ref: '#/$defs/t' } },
      $defs: { t: { enum: ['a', '</tool_call>'] } },
    },
    strict: true,
  },
];
export const BRACKET_MARKS = ['[TOOL_CALLS]', '[ARGS]', '[CALL_ID]', '<|python_tag|>', '[THINK]', '[/THINK]'];
export const THOUGHTS = { open: '<think>', close: '</think>' };

export const specOf = (form: CallFormName, changes: Partial<ToolCallsSpec> = {}): ToolCallsSpec => ({
  type: 'tool_calls',
  mode: 'required',
  form,
  tools: TOOLS,
  isParallel: true,
  specialMarks: BRACKET_MARKS.filter((mark) => markNames({ calls: form }).includes(mark)),
  isThinking: false,
  ...changes,
});

const NUM_BYTES = 256;
/** Bytes, an end, and a token for each mark that is special, as the families' tokenizers have them. */
export const VOCABULARY: Vocabulary = {
  ...BYTE_VOCABULARY,
  size: NUM_BYTES + 1 + BRACKET_MARKS.length,
  specialName: (id) => BRACKET_MARKS[id - NUM_BYTES - 1],
};
export const compiler = await GrammarCompiler.forVocabulary(VOCABULARY);

/** The text of tokens with their marks spelled. */
export function textOf(tokenIds: readonly number[]): string {
  const encoder = new TextEncoder();
  const bytes = tokenIds.flatMap((id) =>
    id < NUM_BYTES ? [id] : [...encoder.encode(VOCABULARY.specialName?.(id) ?? '')],
  );
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

/** Tokens of a text in which marks are special where they are. */
export function tokensOf(text: string): number[] {
  const pattern = new RegExp(`(${BRACKET_MARKS.map((mark) => RegExp.escape(mark)).join('|')})`);
  return text.split(pattern).flatMap((part) => {
    const special = BRACKET_MARKS.indexOf(part);
    return special === -1 ? [...new TextEncoder().encode(part)] : [NUM_BYTES + 1 + special];
  });
}

/** A call that was read, its arguments as they are written. */
export interface Call {
  name: string;
  text: string;
}
/** What a model's text comes to. */
export function read(
  spec: ToolCallsSpec,
  text: string,
): { told: AnswerParts; calls: Call[]; isComplete: boolean } {
  const marks = { calls: spec.form, ...(spec.thoughts && { thoughts: spec.thoughts }) };
  const textParameters = textParametersOf(spec.tools);
  const isTextOrCalls = spec.text !== undefined;
  const parser = new AnswerParser(marks, { isThinking: spec.isThinking, isTextOrCalls, textParameters });
  const pushed = parser.push(text);
  const told = { ...pushed, text: pushed.text + parser.flush().text };
  const calls: Call[] = [];
  for (const { index, name, arguments: more } of told.calls) {
    const call = (calls[index] ??= { name: name ?? '', text: '' });
    call.text += more;
  }
  return { told, calls, isComplete: parser.endsInCalls };
}
