import { TidarError } from '@tidar/shared/errors.ts';
import type { CompiledGrammar } from '../engine/grammar/compiled-grammar.ts';
import { GrammarCompiler } from '../engine/grammar/grammar-compiler.ts';
import type { GrammarSpec } from '../engine/grammar/spec.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Tokenizer } from '../model/tokenizer.ts';

export type CompileGrammar = (spec: GrammarSpec) => Promise<CompiledGrammar>;

/** Compiles grammars for a model. The vocabulary is read here, at the start: it takes half a second for a large one. */
export async function openGrammars(
  tokenizer: Tokenizer | undefined,
  config: ModelConfig,
): Promise<CompileGrammar> {
  if (tokenizer === undefined) return () => Promise.reject(noTokenizer());
  const compiler = await GrammarCompiler.create(tokenizer, config);
  return (spec) => compiler.compile(spec);
}

function noTokenizer(): TidarError {
  return new TidarError(
    'invalid_request',
    'This model has no tokenizer, so that its output can have no format.',
    { param: 'response_format' },
  );
}
