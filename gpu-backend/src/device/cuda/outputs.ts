import { ortEnvironment } from '../c-api/create-session.ts';
import type { ForwardBatch, ForwardOutput, RowCandidates } from '../device.ts';
import { StepOutputs } from '../step-outputs.ts';
import { Mirror } from './mirror.ts';
import { copyTensors } from './runtime.ts';
import type { GpuMemory } from './runtime.ts';

const LOGITS = 'logits';

/**
 * What a run leaves on the GPU. Where candidates leave the graph, whole rows of logits stay there until someone asks
 * for one: of a large vocabulary they are megabytes a step.
 */
export class CudaOutputs implements ForwardOutput {
  readonly mirrors: readonly Mirror[];
  readonly #outputs: StepOutputs;
  readonly #hasCandidates: boolean;
  /** Rows of logits that are on the host already. */
  readonly #fetched = new Set<number>();

  constructor(vocabSize: number, hasCandidates: boolean, memory: GpuMemory) {
    this.#outputs = new StepOutputs(vocabSize, hasCandidates);
    this.#hasCandidates = hasCandidates;
    this.mirrors = this.#outputs.all.map((array) => new Mirror(array, memory));
  }

  resize(batch: ForwardBatch): void {
    this.#outputs.resize(batch);
    this.#fetched.clear();
  }

  /** Copies to the host what every run's reader reads. */
  fetch(): void {
    const wanted = this.mirrors.filter(({ array }) => {
      const isLater = this.#hasCandidates && array.name === LOGITS;
      return !isLater && array.numBytes > 0;
    });
    const tensors = wanted.map((mirror) => mirror.tensors());
    copyTensors(
      ortEnvironment(),
      tensors.map(({ device }) => device),
      tensors.map(({ host }) => host),
    );
  }

  logits(index: number): Float32Array {
    const row = this.#outputs.logits(index);
    if (this.#hasCandidates && !this.#fetched.has(index)) this.#fetchRow(index);
    return row;
  }

  candidates(index: number): RowCandidates | undefined {
    return this.#outputs.candidates(index);
  }

  #fetchRow(index: number): void {
    const logits = this.mirrors.find(({ array }) => array.name === LOGITS);
    if (logits === undefined) return;
    const { host, device } = logits.rows(index, index + 1);
    copyTensors(ortEnvironment(), [device.pointer], [host.pointer]);
    host.dispose();
    device.dispose();
    this.#fetched.add(index);
  }
}
