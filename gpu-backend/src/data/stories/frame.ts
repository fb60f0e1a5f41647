/**
 * One thing that is told in a story, in several wordings, with the steps that it takes. In texts `{1}` `{2}` are the
 * numbers drawn for it, `{1:part}` says 3 as "a third" and `{1:times}` 2 as "twice"; other placeholders are words (lexicon.ts), `{u}` the frame's
 * thing. In steps `[v * 1]` computes: v is the amount so far, r and q the results of the move's last step and of the one before, o the amount that
 * the move began with; the last result is the new v.
 */
export interface Move {
  told: readonly string[];
  steps: readonly string[];
}

/** A move with the question that it ends the story with. */
export interface End extends Move {
  asks: readonly string[];
}

/** A scene: what can be there at the start, what can happen, and what can be asked. */
export interface Frame {
  id: string;
  weight?: number;
  /** Fewest and most steps, where the scene bears no other number. */
  steps?: readonly [number, number];
  /** Plural placeholders of what is counted, such as `{toys}`. */
  things: readonly string[];
  /** Whole clauses without the full stop. */
  starts: readonly Move[];
  /** Verb phrases of the person `{N}`, or whole clauses if nobody acts. */
  gains: readonly Move[];
  losses: readonly Move[];
  isPersonal: boolean;
  /** Clauses of their own, told last. */
  ends: readonly End[];
  asks: readonly string[];
  /** Asked if the last move was a loss. */
  asksLeft: readonly string[];
}

/** A move of these steps, in several wordings. */
export const move = (steps: readonly string[], ...told: string[]): Move => ({ steps, told });

/** An end of these steps. */
export const end = (steps: readonly string[], told: readonly string[], ...asks: string[]): End => ({
  steps,
  told,
  asks,
});
