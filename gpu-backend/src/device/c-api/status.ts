import { TidarError } from '@tidar/shared/errors.ts';
import { ortApi } from './library.ts';
import type { Argument, Pointer, ReleaseName } from './library.ts';

type FunctionName = keyof ReturnType<typeof ortApi>['functions'];

/** onnxruntime's own text of what went wrong in a call; undefined: it went well. */
export function attempt(name: FunctionName, ...args: readonly Argument[]): string | undefined {
  const api = ortApi();
  const status = api.functions[name](...args);
  if (status === null) return undefined;
  const text = api.errorMessage(status);
  api.release.Status(status);
  return text;
}

/** A call that fails only by a mistake of ours, or for want of memory. */
export function call(name: FunctionName, ...args: readonly Argument[]): void {
  const text = attempt(name, ...args);
  if (text !== undefined) throw failure(name, text);
}

export function failure(name: string, text: string): TidarError {
  return new TidarError('internal', 'The model runtime failed.', {
    internal: `onnxruntime ${name}: ${text}`,
  });
}

/** The address that a call writes to its last argument. */
export function result(name: FunctionName, ...args: readonly Argument[]): Pointer {
  const place = new BigUint64Array(1);
  call(name, ...args, place);
  return place[0] ?? 0n;
}

/**
 * An object of onnxruntime's that is ours to free, at once by `dispose`, or when nobody holds it any more. An object
 * that it is made of must outlive it and be held by whoever holds it.
 */
export class Handle {
  readonly #kind: ReleaseName;
  #pointer: Pointer;

  constructor(kind: ReleaseName, pointer: Pointer) {
    this.#kind = kind;
    this.#pointer = pointer;
    forgotten.register(this, { kind, pointer }, this);
  }

  get pointer(): Pointer {
    if (this.#pointer === 0n) throw new Error(`the ${this.#kind} was disposed of`);
    return this.#pointer;
  }

  dispose(): void {
    if (this.#pointer === 0n) return;
    forgotten.unregister(this);
    ortApi().release[this.#kind](this.#pointer);
    this.#pointer = 0n;
  }
}

const forgotten = new FinalizationRegistry<{ kind: ReleaseName; pointer: Pointer }>(({ kind, pointer }) => {
  ortApi().release[kind](pointer);
});
