import type { ModelFolder } from '../../model/folder.ts';

/** Of several kinds: what drafts are worth differs, what the law says does not. */
const TEXTS = [
  'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?',
  'Tom packs 96 cards into boxes of 8. How many boxes does Tom fill?',
  'What is the capital of France?',
  'What languages are spoken in Belgium?',
  'Write a function in TypeScript that adds up a list of numbers.',
  'Write one sentence about the sea.',
  'List the planets of the solar system, one a line.',
  'Translate to German: The train leaves at noon.',
  'Give a JSON object with the fields name and age for Mary, who is 31.',
  'Explain what a hash function is to a child.',
  'Count from 1 to 30.',
  'Which is larger, 0.9 or 0.11, and why?',
  'Write a haiku about winter.',
  'What does HTTP status 404 mean?',
  'Repeat this word ten times: tidal.',
  'Name three rivers of Europe.',
  'Write a regular expression for a date like 2026-11-24.',
  'Summarize in one line: Cats sleep most of the day and hunt at dusk.',
  'What is 17 times 23? Show the steps.',
  'Who wrote Hamlet?',
];
export const MAX_PROMPTS = TEXTS.length;

const NUM_TOKENS = 12;
const MOST_TOKEN_ID = 32;

/** Chat where the model has a template, else the text itself; token ids for a folder without a tokenizer. */
export function doctorPrompts({ config, tokenizer }: ModelFolder, numPrompts: number): number[][] {
  return TEXTS.slice(0, numPrompts).map((text, index) => {
    if (tokenizer?.hasChatTemplate === true) return tokenizer.encodeChat([{ role: 'user', content: text }]);
    if (tokenizer !== undefined) return tokenizer.encode(text);
    const numIds = Math.min(MOST_TOKEN_ID, config.vocabSize);
    return Array.from({ length: NUM_TOKENS }, (_, at) => (index * 31 + at * 17 + 3) % numIds);
  });
}
