import type { Precision } from '../precision.ts';
import type { StoredTensor } from '../weights.ts';

/** A dimension: a fixed size, or the name of one that each run chooses. */
export type Dim = number | string;
export type ElementType = 'float32' | 'float16' | 'bfloat16' | 'uint8' | 'int32' | 'int64' | 'bool';

/** One tensor in the graph: the output of a node, an input or an initializer. */
export interface Value {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dim[];
}

export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface GraphNode {
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export type ConstantData = Float32Array | Int32Array | BigInt64Array | Uint8Array;

export type Initializer =
  | { readonly kind: 'inline'; readonly value: Value; readonly data: ConstantData }
  | { readonly kind: 'external'; readonly value: Value; readonly tensor: StoredTensor };

/** The operator sets that every graph of this project declares. */
export const OPSETS: Readonly<Record<string, number>> = { '': 24, 'com.microsoft': 1 };

/** ONNX's own numbers of the types that values are cast to. */
export const TYPE_NUMBERS = { float32: 1, int32: 6, float16: 10, bfloat16: 16 } as const;

/** ONNX writes an output that is not wanted as an empty name. */
const OMITTED: Value = { name: '', type: 'float32', shape: [] };

const ELEMENT_TYPES: Readonly<Record<StoredTensor['dtype'], ElementType>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  U8: 'uint8',
};

/**
 * Collects nodes in the order in which they compute. Shapes are tracked for every value, since the
 * gradients of broadcasting and reshaping ops need them.
 */
export class GraphBuilder {
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];
  readonly initializers: Initializer[] = [];
  readonly nodes: GraphNode[] = [];
  /** What the decoder computes in. */
  readonly precision: Precision;
  readonly #constants = new Map<string, Value>();
  readonly #outputNames = new Map<string, string>();
  #numNames = 0;

  constructor(precision: Precision = 'float32') {
    this.precision = precision;
  }

  input(name: string, type: ElementType, shape: readonly Dim[]): Value {
    const value: Value = { name, type, shape };
    this.inputs.push(value);
    return value;
  }

  /** Makes `value` an output of the graph under `name`, without a copy: the node itself writes it. */
  output(name: string, value: Value): void {
    if (this.#outputNames.has(value.name)) throw new Error(`${value.name} is an output already`);
    this.#outputNames.set(value.name, name);
    this.outputs.push(value);
  }

  /** The name that a value has in the file. */
  fileName(value: Value): string {
    return this.#outputNames.get(value.name) ?? value.name;
  }

  /** A tensor stored in the graph file itself: small things only. */
  constant(type: ElementType, shape: readonly number[], data: ConstantData): Value {
    const key = data.length <= 16 ? `${type}:${shape.join(',')}:${data.join(',')}` : undefined;
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    const value: Value = { name: this.#name('const'), type, shape };
    this.initializers.push({ kind: 'inline', value, data });
    if (key !== undefined) this.#constants.set(key, value);
    return value;
  }

  /** A number that the decoder computes with; onnxruntime narrows it once, when it loads the graph. */
  scalar(value: number): Value {
    return this.floats([], Float32Array.of(value));
  }

  /** The same for many. */
  floats(shape: readonly Dim[] & readonly number[], data: Float32Array): Value {
    const wide = this.constant('float32', shape, data);
    if (this.precision === 'float32') return wide;
    const to = TYPE_NUMBERS[this.precision];
    return this.node('Cast', [wide], { type: this.precision, shape }, { to });
  }

  /** An int64 list, as shapes, axes and sizes are given to ONNX ops. */
  list(values: readonly number[]): Value {
    return this.constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A weight that stays in the safetensors file and is mapped from there. */
  external(tensor: StoredTensor): Value {
    const value: Value = { name: tensor.name, type: ELEMENT_TYPES[tensor.dtype], shape: tensor.shape };
    this.initializers.push({ kind: 'external', value, tensor });
    return value;
  }

  /** Adds a node with one output. `domain` is empty for standard ops. */
  node(
    opType: string,
    inputs: readonly Value[],
    output: { type: ElementType; shape: readonly Dim[] },
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): Value {
    const value: Value = { name: this.#name(opType), ...output };
    this.nodes.push({ opType, domain, inputs, outputs: [value], attributes });
    return value;
  }

  /** Adds a node with two outputs, the second at place `secondAt` of the op's list; those between are not computed. */
  nodeOfTwo(
    opType: string,
    inputs: readonly Value[],
    outputs: readonly [
      { type: ElementType; shape: readonly Dim[] },
      { type: ElementType; shape: readonly Dim[] },
    ],
    secondAt: number,
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): [Value, Value] {
    const first: Value = { name: this.#name(opType), ...outputs[0] };
    const second: Value = { name: this.#name(opType), ...outputs[1] };
    const left = Array.from({ length: secondAt - 1 }, (): Value => OMITTED);
    this.nodes.push({ opType, domain, inputs, outputs: [first, ...left, second], attributes });
    return [first, second];
  }

  #name(stem: string): string {
    this.#numNames += 1;
    return `${stem}_${this.#numNames}`;
  }
}
