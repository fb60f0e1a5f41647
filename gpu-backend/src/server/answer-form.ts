import { TidarError } from '@tidar/shared/errors.ts';
import type { ChatInput } from '@tidar/shared/chat.ts';
import type { GenerateRequest } from '@tidar/shared/protocol.ts';
import type { GrammarSpec, ToolCallsSpec } from '../engine/grammar/spec.ts';
import type { AnswerMarks, CallFormName, ThoughtMarks } from '../model/answer/forms.ts';
import { FORMS, markChar, markNames } from '../model/answer/forms.ts';
import type { TextParameters } from '../model/answer/xml-scanner.ts';
import { textParametersOf } from '../model/answer/xml-scanner.ts';
import type { Tokenizer } from '../model/tokenizer.ts';

/** How the text of a chat is taken apart. Plain data: it crosses threads. */
export interface AnswerForm {
  /** With calls only where the request lets the model call. */
  readonly marks: AnswerMarks;
  /** The prompt ends within a thought. */
  readonly isThinking: boolean;
  /** Of calls in the form of XML: which parameters are texts. */
  readonly textParameters?: TextParameters | undefined;
  /** Calls stand in place of a text: a text of a form of its own may hold what looks like one. */
  readonly isTextOrCalls: boolean;
  /** What the ids of calls are made of. */
  readonly requestId: string;
}

/** How far back a prompt is read for the mark that opens a thought. */
const NUM_LAST_TOKENS = 16;

type Asked = Pick<GenerateRequest, 'input' | 'request_id' | 'grammar'>;

/** Undefined where the text is the answer as it stands. It follows from the request and its prompt alone. */
export function answerFormOf(
  { input, grammar, request_id: requestId }: Asked,
  promptIds: readonly number[],
  tokenizer: Tokenizer | undefined,
): AnswerForm | undefined {
  if (tokenizer === undefined || input.type !== 'chat') return undefined;
  const { thoughts, calls } = tokenizer.marks;
  const mayCall = input.tools !== undefined && input.tool_choice !== 'none';
  const beginning = thoughts && beginningOf(promptIds, thoughts, tokenizer);
  const marks = {
    ...(thoughts !== undefined && beginning !== 'after a thought' ? { thoughts } : {}),
    ...(mayCall && calls !== undefined ? { calls } : {}),
  };
  if (marks.thoughts === undefined && marks.calls === undefined) return undefined;
  const isThinking = beginning === 'in a thought';
  const form = { marks, isThinking, isTextOrCalls: grammar !== undefined, requestId };
  return marks.calls === 'xml' ? { ...form, textParameters: textParametersOf(input.tools ?? []) } : form;
}

/** Templates open a thought for the model, or close an empty one, so that it does not think. */
function beginningOf(
  promptIds: readonly number[],
  { open, close }: ThoughtMarks,
  tokenizer: Tokenizer,
): 'in a thought' | 'after a thought' | 'anywhere' {
  const stream = tokenizer.stream([open, close]);
  const last = (stream.push(promptIds.slice(-NUM_LAST_TOKENS)) + stream.flush()).trimEnd();
  const endsWith = (mark: string, index: number): boolean =>
    last.endsWith(tokenizer.isSpecial(mark) ? markChar(index) : mark);
  if (endsWith(open, 0)) return 'in a thought';
  return endsWith(close, 1) ? 'after a thought' : 'anywhere';
}

/** What the text must be in all: calls, thoughts, and the form that the request asks for. */
export function grammarOf(
  { input, grammar }: Pick<GenerateRequest, 'input' | 'grammar'>,
  form: AnswerForm | undefined,
  tokenizer: Tokenizer | undefined,
): GrammarSpec | undefined {
  if (form === undefined || tokenizer === undefined || input.type !== 'chat') return grammar;
  const { marks, isThinking } = form;
  const specialMarks = markNames(marks).filter((mark) => tokenizer.isSpecial(mark));
  const { thoughts, calls } = marks;
  if (calls !== undefined) {
    const spec = callsOf(input, calls);
    if (FORMS[calls].open === '' && spec.mode === 'auto' && grammar !== undefined) throw ambiguous();
    return { ...spec, specialMarks, thoughts, isThinking, text: grammar };
  }
  if (grammar === undefined || thoughts === undefined) return grammar;
  return { type: 'after_thought', thoughts, isThinking, specialMarks, text: grammar };
}

function callsOf(
  { tools = [], tool_choice: choice = 'auto', parallel_tool_calls: isParallel = true }: ChatInput,
  form: CallFormName,
): Omit<ToolCallsSpec, 'specialMarks' | 'isThinking'> {
  const named = typeof choice === 'string' ? undefined : choice.name;
  return {
    type: 'tool_calls',
    mode: choice === 'auto' ? 'auto' : 'required',
    form,
    tools: tools
      .filter(({ name }) => named === undefined || name === named)
      .map(({ name, parameters, strict }) => ({ name, parameters, strict })),
    isParallel: isParallel && named === undefined,
  };
}

function ambiguous(): TidarError {
  const sentence =
    'This model begins a call with "{", as a text of a form may begin: give tools or a form, or tool_choice \'required\'.';
  return new TidarError('invalid_request', sentence, { param: 'grammar' });
}
