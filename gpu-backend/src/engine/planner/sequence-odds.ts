import type { Draft } from '../sequence.ts';
import { acceptanceCell, ORIGINS } from './acceptance-table.ts';
import type { AcceptanceTable } from './acceptance-table.ts';
import type { BlockSamples } from './block-samples.ts';
import { sigmoid } from './statistics.ts';
import type { SequenceStatistics } from './statistics.ts';

/** What may come of the drafts at hand. Made once and filled again for each step. */
export class SequenceOdds {
  readonly maxDrafts: number;
  numDrafts = 0;
  /** The last draft ends the text if it is accepted. */
  endsText = false;
  readonly accepted: Float64Array; // [drafts]: probability, once all before are
  readonly secondBest: Float64Array; // [drafts]: probability, once the draft is rejected; 0: it has none
  readonly survival: Float64Array; // [drafts + 1]: probability that the first i are accepted

  constructor(maxDrafts: number) {
    this.maxDrafts = maxDrafts;
    this.accepted = new Float64Array(maxDrafts);
    this.secondBest = new Float64Array(maxDrafts);
    this.survival = new Float64Array(maxDrafts + 1).fill(1);
  }

  fill(drafts: readonly Draft[], statistics: SequenceStatistics, endTokenIds: ReadonlySet<number>): void {
    const most = Math.min(drafts.length, this.maxDrafts);
    this.numDrafts = 0;
    this.endsText = false;
    while (this.numDrafts < most && !this.endsText) {
      const at = this.numDrafts++;
      const { tokenId = -1, secondBest = -1, margin = 0 } = drafts[at] ?? {};
      const probability = secondBest < 0 ? 0 : statistics.secondBest(margin);
      this.#set(at, statistics.logOdds(margin, at), probability);
      this.endsText = endTokenIds.has(tokenId);
    }
  }

  /** As `fill`, for a block that might come in a text whose log-odds are shifted by so much. */
  fillSample(
    table: AcceptanceTable,
    samples: BlockSamples,
    block: { origin: number; sample: number; shift: number },
  ): void {
    const { origin, sample, shift } = block;
    this.numDrafts = this.maxDrafts;
    this.endsText = false;
    for (let at = 0; at < this.maxDrafts; at++) {
      const bin = samples.bin(origin, sample, at);
      const logOdds = table.logOdds(acceptanceCell(origin, at + 1, bin)) + shift;
      this.#set(at, logOdds, table.secondBest(bin));
    }
  }

  #set(at: number, logOdds: number, secondBest: number): void {
    const accepted = sigmoid(logOdds);
    this.accepted[at] = accepted;
    this.secondBest[at] = secondBest;
    this.survival[at + 1] = (this.survival[at] ?? 1) * accepted;
  }
}

/** What the next step's drafts are worth, in tokens, over having none. */
export class DraftValues {
  readonly maxDrafts: number;
  readonly values: Float64Array; // [origin, drafts]

  constructor(maxDrafts: number) {
    this.maxDrafts = maxDrafts;
    this.values = new Float64Array(ORIGINS.length * (maxDrafts + 1));
  }

  value(origin: number, numDrafts: number): number {
    return this.values[origin * (this.maxDrafts + 1) + numDrafts] ?? 0;
  }

  /** Between two tables. */
  mix(a: DraftValues, b: DraftValues, share: number): void {
    for (let at = 0; at < this.values.length; at++) {
      this.values[at] = (a.values[at] ?? 0) * (1 - share) + (b.values[at] ?? 0) * share;
    }
  }
}
