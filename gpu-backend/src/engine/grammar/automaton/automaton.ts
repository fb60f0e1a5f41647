import type { Grammar } from '../expression.ts';
import { refuse } from '../refuse.ts';
import { Network } from './network.ts';

/** Where calls return to, the innermost first; each is made once, so that equal stacks are one object. */
export interface Frame {
  readonly id: number;
  readonly returnTo: number;
  readonly parent: Frame | undefined;
  readonly children: Map<number, Frame>;
}

/** One way to read the text so far: a node with byte edges, and what it returns to. */
interface Reading {
  readonly node: number;
  readonly frame: Frame;
}

/** All ways to read a text. Texts that may go on alike are one state. */
export interface AutomatonState {
  readonly readings: readonly Reading[];
  /** Whether the text may end here. */
  readonly canEnd: boolean;
  /** By byte class: the state after it, null where it is illegal, undefined where nobody has asked yet. */
  readonly next: (AutomatonState | null | undefined)[];
}

/** Readings of one text at once; more mean that the grammar reads every text in countless ways. */
const MAX_READINGS = 2_048;

/** A grammar as a deterministic automaton over bytes, with a stack, that is built where texts go. */
export class Automaton {
  readonly start: AutomatonState;
  readonly classOf: Uint8Array;
  readonly #network: Network;
  readonly #states = new Map<string, AutomatonState>();
  readonly #bottom: Frame = { id: 0, returnTo: -1, parent: undefined, children: new Map() };
  #numFrames = 1;

  constructor(grammar: Grammar) {
    this.#network = new Network(grammar);
    this.classOf = this.#network.classOf;
    this.start = this.#close([{ node: 0, frame: this.#bottom }]);
  }

  get numStates(): number {
    return this.#states.size;
  }

  /** The state after one more byte; null if it is illegal. */
  step(state: AutomatonState, byte: number): AutomatonState | null {
    const byteClass = this.classOf[byte] ?? 0;
    const known = state.next[byteClass];
    return known === undefined ? this.#explore(state, byteClass) : known;
  }

  #explore(state: AutomatonState, byteClass: number): AutomatonState | null {
    const byte = this.#network.byteOfClass[byteClass] ?? 0;
    const reached: Reading[] = [];
    for (const { node, frame } of state.readings) {
      for (const { low, high, target } of this.#network.nodes[node]?.edges ?? []) {
        if (low <= byte && byte <= high) reached.push({ node: target, frame });
      }
    }
    const next = reached.length === 0 ? null : this.#close(reached);
    state.next[byteClass] = next;
    return next;
  }

  /** The state of these readings and of all that they reach without a byte. */
  #close(reached: Reading[]): AutomatonState {
    const found = new Map<string, Reading>();
    let canEnd = false;
    const visit = (node: number, frame: Frame): void => {
      const key = `${node},${frame.id}`;
      if (found.has(key)) return;
      found.set(key, { node, frame });
      if (found.size > MAX_READINGS) throw tooAmbiguous();
      reached.push({ node, frame });
    };
    const pending = reached.splice(0);
    for (const { node, frame } of pending) visit(node, frame);
    for (let reading = reached.pop(); reading !== undefined; reading = reached.pop()) {
      const { node, frame } = reading;
      const { calls, jumps } = this.#network.nodes[node] ?? { calls: [], jumps: [] };
      for (const target of jumps) visit(target, frame);
      for (const { entry, returnTo } of calls) visit(entry, this.#push(frame, returnTo));
      if (!this.#network.isEnd(node)) continue;
      if (frame.parent === undefined) canEnd = true;
      else visit(frame.returnTo, frame.parent);
    }
    return this.#intern(found, canEnd);
  }

  #intern(found: ReadonlyMap<string, Reading>, canEnd: boolean): AutomatonState {
    const scanning = [...found].filter(([, { node }]) => (this.#network.nodes[node]?.edges.length ?? 0) > 0);
    const keys = scanning.map(([key]) => key).toSorted();
    const key = `${canEnd ? '.' : ''}${keys.join(' ')}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const state: AutomatonState = {
      readings: scanning.map(([, reading]) => reading),
      canEnd,
      next: Array.from({ length: this.#network.numClasses }, () => undefined),
    };
    this.#states.set(key, state);
    return state;
  }

  /** A call that returns to the end of its rule leaves no frame: rules may end in themselves for ever. */
  #push(frame: Frame, returnTo: number): Frame {
    if (this.#network.isTail(returnTo)) return frame;
    const known = frame.children.get(returnTo);
    if (known !== undefined) return known;
    const pushed: Frame = { id: this.#numFrames++, returnTo, parent: frame, children: new Map() };
    frame.children.set(returnTo, pushed);
    return pushed;
  }
}

const tooAmbiguous = (): Error =>
  refuse(
    `This grammar can read one text in more than ${MAX_READINGS} ways at once; make it less ambiguous, with fewer ` +
      'repetitions inside repetitions.',
  );
