import type { Random } from '../chaos/random.ts';
import type { Surface } from './surface.ts';
import type { FuzzWorld } from './world.ts';

/** What a case has found: nothing, where all is as it must be. */
export interface Findings {
  /** Answers that are wrong, or that help nobody. */
  unclear: string[];
  /** Answers that did not come, or that say that the server failed. */
  crashed: string[];
}

/** One attack and what must come of it. */
export interface FuzzCase {
  /** In words, for whoever reads the report. */
  title: string;
  /** Who is attacked, and must be alive right after. */
  target: 'edge' | 'backend';
  /** It mostly waits. */
  isSlow?: boolean;
  play(world: FuzzWorld): Promise<Findings>;
}

/** A kind of attack; a case follows from the random numbers alone, so that it can be played again. */
export interface Kind {
  name: string;
  weight: number;
  draw(random: Random, surface: Surface): FuzzCase;
}

export const NOTHING: Findings = { unclear: [], crashed: [] };

export const together = (findings: readonly Findings[]): Findings => ({
  unclear: findings.flatMap(({ unclear }) => unclear),
  crashed: findings.flatMap(({ crashed }) => crashed),
});
