import { styleText } from 'node:util';

const COLOURS = ['cyan', 'yellow', 'green', 'magenta', 'blue', 'red'] as const;

/** One colour for each forward pass; `styleText` leaves the text as it is off a terminal or with NO_COLOR set. */
export function colouredByPass(text: string, pass: number): string {
  const colour = COLOURS[pass % COLOURS.length] ?? 'cyan';
  return styleText(colour, text, { stream: process.stdout });
}

/** What stands beside an answer and is no part of it. */
export function dimmed(text: string): string {
  return styleText('dim', text, { stream: process.stdout });
}
