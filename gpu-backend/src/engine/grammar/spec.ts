import type { CallFormName, ThoughtMarks } from '../../model/answer/forms.ts';

/** What a text must be. Plain data: it crosses threads and is the key of compiled grammars. */
export type GrammarSpec =
  | { readonly type: 'json_schema'; readonly schema: unknown }
  | { readonly type: 'json_object' }
  | { readonly type: 'regex'; readonly pattern: string }
  | { readonly type: 'grammar'; readonly ebnf: string }
  | ToolCallsSpec
  | AfterThoughtSpec;

/** A function that may be called. */
export interface SpecTool {
  readonly name: string;
  /** A JSON schema of an object; absent: it takes nothing. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  /** Whether a schema that cannot be kept is refused. */
  readonly strict: boolean;
}

/** A text after what the model thinks first, if it does. */
export interface AfterThoughtSpec {
  readonly type: 'after_thought';
  readonly thoughts: ThoughtMarks;
  /** The prompt ends within a thought, which then comes first. */
  readonly isThinking: boolean;
  /** Marks that are special tokens of the model; the others are written as text. */
  readonly specialMarks: readonly string[];
  readonly text: GrammarSpec;
}

/** Calls of tools in a model's own form; with `auto` beside text, or in its place. */
export interface ToolCallsSpec {
  readonly type: 'tool_calls';
  readonly mode: 'auto' | 'required';
  readonly form: CallFormName;
  readonly tools: readonly SpecTool[];
  /** Whether there may be several calls. */
  readonly isParallel: boolean;
  /** Marks that are special tokens of the model; the others are written as text. */
  readonly specialMarks: readonly string[];
  readonly thoughts?: ThoughtMarks | undefined;
  /** The prompt ends within a thought. */
  readonly isThinking: boolean;
  /** What a text without calls must be; absent: any. */
  readonly text?: GrammarSpec | undefined;
}
