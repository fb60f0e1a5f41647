import { isSameShape } from '../bound-array.ts';
import type { BoundArray } from '../bound-array.ts';
import type { Pointer } from './library.ts';
import { call, Handle, result } from './status.ts';
import { withValueOver } from './value.ts';

/**
 * What a session's runs read and write. It holds everything that is bound, since onnxruntime keeps addresses only:
 * memory that JavaScript collected would be written to all the same.
 */
export class Binding {
  readonly #binding: Handle;
  readonly #held = new Map<string, { shape: readonly number[]; owner: unknown }>();

  constructor(session: Handle) {
    this.#binding = new Handle('IoBinding', result('CreateIoBinding', session.pointer));
  }

  get pointer(): Pointer {
    return this.#binding.pointer;
  }

  /** Binds a value; `owner` is what its memory lives as long as. */
  bind(
    direction: 'input' | 'output',
    name: string,
    value: Pointer,
    owner: unknown,
    shape: readonly number[],
  ): void {
    call(direction === 'input' ? 'BindInput' : 'BindOutput', this.pointer, name, value);
    this.#held.set(name, { shape, owner });
  }

  /** Binds an array, unless its memory is bound here already and in this shape. */
  bindArray(direction: 'input' | 'output', array: BoundArray): void {
    const { name, data, shape } = array;
    const held = this.#held.get(name);
    if (held?.owner === data && (held.shape === shape || isSameShape(held.shape, shape))) return;
    withValueOver(data, array, (value) => this.bind(direction, name, value, data, shape));
  }

  dispose(): void {
    this.#binding.dispose();
    this.#held.clear();
  }
}
