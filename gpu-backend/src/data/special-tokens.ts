/** The demo model's special tokens, in the order of their ids after the 256 bytes. */
export const specialTokens = [
  '<|bos|>',
  '<|user|>',
  '<|assistant|>',
  '<|end|>',
  '<|mask|>',
  '<|pad|>',
] as const;

export type SpecialToken = (typeof specialTokens)[number];

/** Ids 0 .. 255 are the byte symbols. */
export const numByteTokens = 256;

export function specialTokenId(token: SpecialToken): number {
  return numByteTokens + specialTokens.indexOf(token);
}

/** Question and answer as ids, encoded without special tokens, so that nothing in them can become one. */
export interface EncodedTurn {
  questionIds: readonly number[];
  answerIds: readonly number[];
}

/** A chat as the model sees it. */
export function chatDocument(turns: readonly EncodedTurn[]): number[] {
  return [
    specialTokenId('<|bos|>'),
    ...turns.flatMap(({ questionIds, answerIds }) => [
      specialTokenId('<|user|>'),
      ...questionIds,
      specialTokenId('<|assistant|>'),
      ...answerIds,
      specialTokenId('<|end|>'),
    ]),
  ];
}

/**
 * The same for Jinja. The answer follows its token at once: with a space between them the tokens of the first
 * word would be others than in training.
 */
export const chatTemplate = [
  "{%- set ns = namespace(system='') -%}",
  "{{- '<|bos|>' -}}",
  '{%- for message in messages -%}',
  "{%- if message.role == 'system' -%}{%- set ns.system = ns.system + message.content + '\\n' -%}",
  "{%- elif message.role == 'user' -%}{{- '<|user|>' + ns.system + message.content -}}{%- set ns.system = '' -%}",
  "{%- elif message.role == 'assistant' -%}{{- '<|assistant|>' + message.content + '<|end|>' -}}",
  '{%- endif -%}',
  '{%- endfor -%}',
  "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}",
].join('');
