import type { ForwardOutput, RowCandidates } from '../device/device.ts';
import type { Layout } from './layout.ts';
import type { LogitsRow, Row } from './sampling/settings.ts';

/** Reads a layout's rows from the output of the pass that it took part in, until the next pass. */
export class RowReader {
  readonly #output: ForwardOutput;
  readonly #layout: Layout;
  readonly #firstLogitRow: number;

  /** `firstLogitRow`: where the layout's logit rows begin among those of the whole pass. */
  constructor(output: ForwardOutput, layout: Layout, firstLogitRow: number) {
    this.#output = output;
    this.#layout = layout;
    this.#firstLogitRow = firstLogitRow;
  }

  row(row: number): LogitsRow {
    const index = this.#layout.logitIndex[row] ?? -1;
    if (index < 0) throw new RangeError(`row ${row} of ${this.#layout.numRows} has no logits`);
    return new OutputRow(this.#output, this.#firstLogitRow + index);
  }

  /** Raw logits of both modes, before any processor: beta · causal + (1 - beta) · diffusion. */
  mixed(causalRow: number, diffusionRow: number, beta: number): LogitsRow {
    const causal = this.row(causalRow).full();
    const diffusion = this.row(diffusionRow).full();
    const logits = Float64Array.from(causal, (logit, id) => beta * logit + (1 - beta) * (diffusion[id] ?? 0));
    return { full: () => logits, candidates: undefined };
  }
}

class OutputRow implements LogitsRow {
  readonly #output: ForwardOutput;
  readonly #index: number;

  constructor(output: ForwardOutput, index: number) {
    this.#output = output;
    this.#index = index;
  }

  full(): Row {
    return this.#output.logits(this.#index);
  }

  get candidates(): RowCandidates | undefined {
    return this.#output.candidates(this.#index);
  }
}
