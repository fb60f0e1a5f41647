import type { Expression, Grammar } from '../expression.ts';
import { charsOf, ROOT } from '../expression.ts';
import { specialBytes } from '../vocabulary.ts';
import type { ByteRange } from './utf8.ts';
import { utf8Bytes, utf8Sequences } from './utf8.ts';

export interface ByteEdge {
  readonly low: number;
  readonly high: number;
  readonly target: number;
}

/** A rule stands here; after its end the text goes on at `returnTo`. */
export interface Call {
  readonly entry: number;
  readonly returnTo: number;
}

interface Node {
  readonly edges: ByteEdge[];
  readonly calls: Call[];
  readonly jumps: number[];
}

/**
 * A grammar as a network of nodes over bytes: one small automaton a rule, which calls the others. Node 0 is where the
 * text begins.
 */
export class Network {
  readonly nodes: Node[] = [];
  /** The last node of each rule. */
  readonly #ends = new Set<number>();
  readonly #entries = new Map<string, number>();
  /** Bytes that no edge tells apart share a class. */
  readonly classOf: Uint8Array;
  readonly numClasses: number;
  /** Some byte of each class. */
  readonly byteOfClass: Uint8Array;
  readonly #tails: readonly boolean[];

  constructor(grammar: Grammar) {
    const root = this.#node();
    for (const name of grammar.keys()) this.#entries.set(name, name === ROOT ? root : this.#node());
    for (const [name, { body }] of grammar) {
      const end = this.#node();
      this.#ends.add(end);
      this.#add(body, this.#entries.get(name) ?? root, end);
    }
    this.classOf = this.#classes();
    this.numClasses = (this.classOf.at(-1) ?? 0) + 1;
    this.byteOfClass = Uint8Array.from({ length: this.numClasses }, (_, index) =>
      this.classOf.indexOf(index),
    );
    this.#tails = this.nodes.map((_, node) => this.#leadsOnlyToEnd(node, new Set()));
  }

  isEnd(node: number): boolean {
    return this.#ends.has(node);
  }

  /** Whether nothing is left of the rule at this node: a call that returns here need not return at all. */
  isTail(node: number): boolean {
    return this.#tails[node] ?? false;
  }

  #node(): number {
    return this.nodes.push({ edges: [], calls: [], jumps: [] }) - 1;
  }

  #at(node: number): Node {
    const found = this.nodes[node];
    if (found === undefined) throw new RangeError(`no node ${node}`);
    return found;
  }

  #add(expression: Expression, from: number, to: number): void {
    switch (expression.type) {
      case 'text': {
        const bytes = charsOf(expression.text).flatMap((char) => utf8Bytes(char.codePointAt(0) ?? 0));
        return this.#addBytes(
          bytes.map((byte): ByteRange => [byte, byte]),
          from,
          to,
        );
      }
      case 'special':
        return this.#addBytes(
          specialBytes(expression.name).map((byte): ByteRange => [byte, byte]),
          from,
          to,
        );
      case 'chars':
        for (const bytes of expression.ranges.flatMap(utf8Sequences)) this.#addBytes(bytes, from, to);
        return;
      case 'sequence': {
        const end = expression.parts.reduce((at, part) => this.#append(part, at), from);
        this.#at(end).jumps.push(to);
        return;
      }
      case 'choice':
        for (const option of expression.options) this.#add(option, from, to);
        return;
      case 'repeat':
        return this.#addRepeat(expression, from, to);
      case 'rule': {
        const entry = this.#entries.get(expression.name);
        if (entry === undefined) throw new RangeError(`no rule is called ${expression.name}`);
        this.#at(from).calls.push({ entry, returnTo: to });
      }
    }
  }

  /** Adds the expression after a node; returns where it ends. */
  #append(expression: Expression, from: number): number {
    const to = this.#node();
    this.#add(expression, from, to);
    return to;
  }

  #addBytes(bytes: readonly ByteRange[], from: number, to: number): void {
    if (bytes.length === 0) this.#at(from).jumps.push(to);
    let at = from;
    bytes.forEach(([low, high], index) => {
      const target = index === bytes.length - 1 ? to : this.#node();
      this.#at(at).edges.push({ low, high, target });
      at = target;
    });
  }

  #addRepeat({ body, min, max }: Expression & { type: 'repeat' }, from: number, to: number): void {
    let at = from;
    for (let count = 0; count < min; count++) at = this.#append(body, at);
    if (max === undefined) {
      const loop = this.#node();
      this.#at(at).jumps.push(loop);
      this.#add(body, loop, loop);
      at = loop;
    }
    for (let count = min; count < (max ?? min); count++) {
      this.#at(at).jumps.push(to);
      at = this.#append(body, at);
    }
    this.#at(at).jumps.push(to);
  }

  #leadsOnlyToEnd(node: number, seen: Set<number>): boolean {
    if (seen.has(node)) return true;
    seen.add(node);
    const { edges, calls, jumps } = this.#at(node);
    const isStop = edges.length > 0 || calls.length > 0 || (jumps.length === 0 && !this.isEnd(node));
    return !isStop && jumps.every((target) => this.#leadsOnlyToEnd(target, seen));
  }

  #classes(): Uint8Array {
    const isFirst = new Uint8Array(257);
    for (const { edges } of this.nodes) {
      for (const { low, high } of edges) isFirst[low] = isFirst[high + 1] = 1;
    }
    let index = 0;
    return Uint8Array.from({ length: 256 }, (_, byte) => (byte > 0 && isFirst[byte] === 1 ? ++index : index));
  }
}
