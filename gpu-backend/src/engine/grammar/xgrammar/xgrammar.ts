import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { compileFunction, constants } from 'node:vm';
import { TidarError } from '@tidar/shared/errors.ts';
import type { Vocabulary } from '../vocabulary.ts';

/** An object that lives in the wasm memory until it is deleted. */
interface Handle {
  delete(): void;
}
export interface MatcherHandle extends Handle {
  AcceptToken(tokenId: number, verbose: boolean): boolean;
  GetNextTokenBitmask(vocabSize: number): Handle;
  IsTerminated(): boolean;
  /** Aborts the whole wasm if it is more than was accepted. */
  Rollback(numTokens: number): void;
}
interface CompilerHandle extends Handle {
  CompileGrammar(grammar: Handle): Handle;
}

/** What the package's wasm exports by embind; its own classes on top of it are asynchronous without need. */
interface Binding {
  readonly HEAPU8: Uint8Array;
  vecStringFromJSArray(strings: readonly Uint8Array[]): Handle;
  vecIntFromJSArray(values: readonly number[]): Handle;
  vecIntToView(vector: Handle): Int32Array;
  readonly Grammar: { FromEBNF(ebnf: string, rootRule: string): Handle };
  readonly TokenizerInfo: new (
    vocabulary: Handle,
    type: string,
    vocabSize: number,
    stopTokenIds: Handle,
    addPrefixSpace: boolean,
  ) => Handle;
  readonly GrammarCompiler: new (tokenizer: Handle, numThreads: number, isCached: boolean) => CompilerHandle;
  readonly GrammarMatcher: new (
    grammar: Handle,
    stopTokenIds: undefined,
    endsWithoutStopToken: boolean,
    maxRollbackTokens: number,
  ) => MatcherHandle;
}
type OpenBinding = (options: {
  print: (line: string) => void;
  printErr: (line: string) => void;
}) => Promise<Binding>;

const PACKAGE = '@mlc-ai/web-xgrammar';
const LAST_EXPORT = 'exports.default = index;';
const NUM_LAST_WORDS = 5;

let openBinding: OpenBinding | undefined;

/**
 * The package says it is an ES module, but its file is UMD: it is evaluated as CommonJS. A line is added that exports
 * the function which makes wasm instances, so that there can be several, and calls can be synchronous.
 */
function loadPackage(): OpenBinding {
  const require = createRequire(import.meta.url);
  const file = require.resolve(PACKAGE);
  const parts = readFileSync(file, 'utf8').split(LAST_EXPORT);
  if (parts.length !== 2) throw new Error(`${PACKAGE} is not the version that this code was written for`);
  const evaluate = compileFunction(
    parts.join(`${LAST_EXPORT} exports.openBinding = Module;`),
    ['exports', 'module', 'require', '__filename'],
    { filename: file, importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER },
  ) as (exports: object, module: object, require: NodeJS.Require, fileName: string) => void;
  const exports: { openBinding?: OpenBinding } = {};
  evaluate(exports, { exports }, require, file);
  if (exports.openBinding === undefined) throw new Error(`${PACKAGE} exports nothing`);
  return exports.openBinding;
}

/**
 * One wasm instance for one vocabulary. A failed check inside it aborts it for good, with all its grammars: from then
 * on every call throws, and whoever owns it has to open another.
 */
export class Xgrammar {
  readonly vocabulary: Vocabulary;
  readonly #binding: Binding;
  readonly #lastWords: string[];
  readonly #compiler: CompilerHandle;
  #isDead = false;

  static async open(vocabulary: Vocabulary): Promise<Xgrammar> {
    openBinding ??= loadPackage();
    const lastWords: string[] = [];
    const remember = (line: string): void => {
      lastWords.push(line);
      if (lastWords.length > NUM_LAST_WORDS) lastWords.shift();
    };
    const binding = await openBinding({ print: remember, printErr: remember });
    return new Xgrammar(vocabulary, binding, lastWords);
  }

  private constructor(vocabulary: Vocabulary, binding: Binding, lastWords: string[]) {
    this.vocabulary = vocabulary;
    this.#binding = binding;
    this.#lastWords = lastWords;
    this.#compiler = this.call(() => makeCompiler(binding, vocabulary));
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get numBytes(): number {
    return this.#binding.HEAPU8.byteLength;
  }

  compile(ebnf: string): Handle {
    return this.call(() => {
      const grammar = this.#binding.Grammar.FromEBNF(ebnf, 'root');
      const compiled = this.#compiler.CompileGrammar(grammar);
      grammar.delete();
      return compiled;
    });
  }

  match(compiled: Handle): MatcherHandle {
    return this.call(() => new this.#binding.GrammarMatcher(compiled, undefined, false, -1));
  }

  /** Writes the mask of the next token, a bit an id, to `mask`. */
  writeMask(matcher: MatcherHandle, mask: Int32Array): void {
    this.call(() => {
      const vector = matcher.GetNextTokenBitmask(this.vocabulary.size);
      mask.set(this.#binding.vecIntToView(vector)); // the view dies when the memory grows: copied at once
      vector.delete();
    });
  }

  /** Runs a call into the wasm; whatever it throws, the instance can't be trusted any more. */
  call<T>(act: () => T): T {
    if (this.#isDead) throw this.#failure(undefined);
    try {
      return act();
    } catch (error) {
      this.#isDead = true;
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): TidarError {
    const reason = error instanceof Error ? error.message : String(error);
    return new TidarError(
      'internal',
      'The grammar of this request could not be followed; send the request again.',
      {
        retryable: true,
        internal: `xgrammar was aborted: ${[...this.#lastWords, reason].join(' | ')}`,
      },
    );
  }
}

function makeCompiler(binding: Binding, { size, endTokenIds, bytesOf }: Vocabulary): CompilerHandle {
  const nothing = new Uint8Array(0); // how xgrammar knows a special token, which it never allows
  const tokens = Array.from({ length: size }, (_, id) => bytesOf(id) ?? nothing);
  const vocabulary = binding.vecStringFromJSArray(tokens);
  const stopTokenIds = binding.vecIntFromJSArray(endTokenIds);
  const tokenizer = new binding.TokenizerInfo(vocabulary, 'RAW', size, stopTokenIds, false);
  const compiler = new binding.GrammarCompiler(tokenizer, 1, false);
  for (const handle of [vocabulary, stopTokenIds, tokenizer]) handle.delete();
  return compiler;
}
