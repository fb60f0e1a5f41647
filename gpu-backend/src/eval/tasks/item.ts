import type { GrammarSpec } from '../../engine/grammar/spec.ts';

/** A question that is answered by every decoder, and how an answer is judged. */
export interface GenerateItem {
  readonly type: 'generate';
  readonly prompt: string;
  /** What decoders that take a grammar are held to. */
  readonly grammar?: GrammarSpec;
  readonly isRight: (answer: string) => boolean | Promise<boolean>;
}

/** A context with its possible continuations, of which the model finds one the likeliest. */
export interface ChoicesItem {
  readonly type: 'choices';
  readonly context: string;
  readonly choices: readonly string[];
  /** Index of the right one. */
  readonly answer: number;
}

/** A text whose probability is told; its second half is also written anew by every decoder, for the speed alone. */
export interface TextItem {
  readonly type: 'text';
  readonly text: string;
}

export type Item = GenerateItem | ChoicesItem | TextItem;
