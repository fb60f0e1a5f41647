export type ElementType = 'float32' | 'int32' | 'int64' | 'bool';
type DataOf<T extends ElementType> = T extends 'float32'
  ? Float32Array<ArrayBuffer>
  : T extends 'bool'
    ? Uint8Array<ArrayBuffer>
    : Int32Array<ArrayBuffer>;

export const BYTES_PER_ELEMENT: Readonly<Record<ElementType, number>> = {
  float32: 4,
  int32: 4,
  int64: 8,
  bool: 1,
};
/** V8 keeps small arrays on its heap, where they move; a buffer of its own stays where it is. */
const MIN_BYTES = 256;

/**
 * An input or output of every run, reused from run to run. It grows by doubling, so that its address changes seldom.
 * int64 is written as pairs of int32, low word first, which spares a BigInt an element.
 */
export class BoundArray<T extends ElementType = ElementType> {
  readonly name: string;
  readonly type: T;
  #buffer = new ArrayBuffer(MIN_BYTES);
  #data: DataOf<T>;
  #shape: readonly number[] = [];

  constructor(name: string, type: T) {
    this.name = name;
    this.type = type;
    this.#data = viewOf(type, this.#buffer);
  }

  get buffer(): ArrayBuffer {
    return this.#buffer;
  }

  /** The whole buffer, longer than the shape asks for. */
  get data(): DataOf<T> {
    return this.#data;
  }

  /** A new array whenever it changes. */
  get shape(): readonly number[] {
    return this.#shape;
  }

  get numBytes(): number {
    return this.#shape.reduce((product, dim) => product * dim, BYTES_PER_ELEMENT[this.type]);
  }

  /** Gives it a shape; content is kept only where the buffer still fits. */
  resize(shape: readonly number[]): DataOf<T> {
    if (isSameShape(shape, this.#shape)) return this.#data;
    this.#shape = shape;
    const { numBytes } = this;
    if (numBytes > this.#buffer.byteLength) {
      this.#buffer = new ArrayBuffer(Math.max(numBytes, 2 * this.#buffer.byteLength));
      this.#data = viewOf(this.type, this.#buffer);
    }
    return this.#data;
  }
}

export function isSameShape(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((dim, axis) => dim === right[axis]);
}

function viewOf<T extends ElementType>(type: T, buffer: ArrayBuffer): DataOf<T>;
function viewOf(type: ElementType, buffer: ArrayBuffer) {
  if (type === 'float32') return new Float32Array(buffer);
  return type === 'bool' ? new Uint8Array(buffer) : new Int32Array(buffer);
}
