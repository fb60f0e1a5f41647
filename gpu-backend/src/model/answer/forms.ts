/** What begins and ends a thought in a model's text. */
export interface ThoughtMarks {
  readonly open: string;
  readonly close: string;
}

export const CALL_FORMS = ['hermes', 'llama', 'mistral', 'mistral-args', 'nemotron', 'xml'] as const;
export type CallFormName = (typeof CALL_FORMS)[number];
/** What an operator may say of a model's calls. */
export const TOOL_FORMATS = [...CALL_FORMS, 'none'] as const;
export type ToolFormat = (typeof TOOL_FORMATS)[number];

/** How a family of models writes calls. */
export interface CallForm {
  /** What a call, or the list of them, begins with; empty: with its `{`, which then no other text may begin with. */
  readonly open: string;
  readonly close: string;
  /**
   * `object`: one call between open and close; `list`: all of them; `named`: a name, ARGS_MARK, the arguments; `xml`: a
   * function with its parameters as tags.
   */
  readonly body: 'object' | 'list' | 'named' | 'xml';
  /** What the object calls the arguments. */
  readonly argumentsKey: 'arguments' | 'parameters';
  /** Whether an answer may hold several. */
  readonly isMany: boolean;
}

export const ARGS_MARK = '[ARGS]';
export const CALL_ID_MARK = '[CALL_ID]';
export const PYTHON_MARK = '<|python_tag|>';

const OBJECT = { body: 'object', argumentsKey: 'arguments', isMany: true } as const;

export const FORMS: Readonly<Record<CallFormName, CallForm>> = {
  hermes: { ...OBJECT, open: '<tool_call>', close: '</tool_call>' },
  llama: { ...OBJECT, open: '', close: '', argumentsKey: 'parameters', isMany: false },
  mistral: { ...OBJECT, open: '[TOOL_CALLS]', close: '', body: 'list' },
  'mistral-args': { ...OBJECT, open: '[TOOL_CALLS]', close: '', body: 'named' },
  nemotron: { ...OBJECT, open: '<TOOLCALL>', close: '</TOOLCALL>', body: 'list' },
  xml: { ...OBJECT, open: '<tool_call>', close: '</tool_call>', body: 'xml' },
};

/** What a chat template tells of the texts that its model was trained to write. */
export interface AnswerMarks {
  readonly thoughts?: ThoughtMarks;
  readonly calls?: CallFormName;
}

/** `toolFormat`: what is said of the calls in place of what the template shows. */
export function findMarks(template: string, toolFormat?: ToolFormat): AnswerMarks {
  const thoughts = findThoughts(template);
  const calls = toolFormat === 'none' ? undefined : (toolFormat ?? findCallForm(template));
  return { ...(thoughts === undefined ? {} : { thoughts }), ...(calls === undefined ? {} : { calls }) };
}

function findThoughts(template: string): ThoughtMarks | undefined {
  if (template.includes('[THINK]')) return { open: '[THINK]', close: '[/THINK]' };
  return template.includes('</think>') ? { open: '<think>', close: '</think>' } : undefined;
}

/** Undefined where the template shows no calls, or in a form that is not known. */
function findCallForm(template: string): CallFormName | undefined {
  if (template.includes('[TOOL_CALLS]')) return template.includes(ARGS_MARK) ? 'mistral-args' : 'mistral';
  if (/<TOOLCALL>\[/.test(template)) return 'nemotron';
  if (/<tool_call>(?:\\n|\s)*<function=/.test(template)) return 'xml';
  // Written as text, or in literals of the template, whose quotes and line breaks may be escaped.
  if (/<tool_call>(?:\\n|[\s"'\\{}-])*name\\?["']/.test(template)) return 'hermes';
  return /\{"name": [^}]*"parameters": /.test(template) ? 'llama' : undefined;
}

const FIRST_MARK_CHAR = 0xd800;
/** What stands in a text for a special token that is the mark of this index: half a surrogate pair, as no text has. */
export const markChar = (index: number): string => String.fromCharCode(FIRST_MARK_CHAR + index);
export const isMarkChar = (char: string): boolean =>
  char >= '\ud800' && char <= '\udbff' && char.length === 1;

/** Every mark that may stand in a model's texts. */
export function markNames({ thoughts, calls }: AnswerMarks): string[] {
  const form = calls === undefined ? undefined : FORMS[calls];
  const ofCalls = form === undefined ? [] : [form.open, form.close];
  const ofForm =
    calls === 'llama' ? [PYTHON_MARK] : calls === 'mistral-args' ? [ARGS_MARK, CALL_ID_MARK] : [];
  const ofThoughts = thoughts === undefined ? [] : [thoughts.open, thoughts.close];
  return [...ofThoughts, ...ofCalls, ...ofForm].filter((mark) => mark !== '');
}
