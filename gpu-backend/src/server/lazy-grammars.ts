import { GrammarCompiler } from '../engine/grammar/grammar-compiler.ts';
import type { CompiledGrammar } from '../engine/grammar/compiled-grammar.ts';
import type { GrammarSpec } from '../engine/grammar/spec.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { TidarError } from '@tidar/shared/errors.ts';

/** Compiles grammars for a model; the compiler is made with the first one. */
export function lazyGrammars(
  tokenizer: Tokenizer | undefined,
  config: ModelConfig,
): (spec: GrammarSpec) => Promise<CompiledGrammar> {
  let compiler: Promise<GrammarCompiler> | undefined;
  return async (spec) => {
    if (tokenizer === undefined) {
      throw new TidarError(
        'invalid_request',
        'This model has no tokenizer, so its output can have no format.',
        {
          param: 'response_format',
        },
      );
    }
    compiler ??= GrammarCompiler.create(tokenizer, config);
    return (await compiler).compile(spec);
  };
}
