import type { Active } from './active.ts';
import type { Draft } from './sequence.ts';

/** What a draft model did for one text before a pass. */
export interface Drafting {
  readonly drafts: readonly Draft[];
  /** Of the draft model, this text among others in them. */
  readonly numPasses: number;
  readonly milliseconds: number;
}

/** Where drafts come from that are no block's. They decide how many tokens a pass gives, never which. */
export interface Drafter {
  /** Drafts for each text, between two passes; none where it cannot help. */
  draft(texts: readonly DraftWish[]): Promise<ReadonlyMap<Active, Drafting>>;
  /** The text has ended. */
  forget(active: Active): void;
  /** What must hold between passes. */
  checkIntegrity(): void;
  dispose(): void;
}

export interface DraftWish {
  readonly active: Active;
  readonly maxDrafts: number;
}
