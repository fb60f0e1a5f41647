import { checkGrammar } from './check.ts';
import { parseEbnf } from './ebnf.ts';
import type { Grammar } from './expression.ts';
import { ROOT } from './expression.ts';
import { prune } from './prune.ts';
import { GRAMMAR_LIMITS, refuse } from './refuse.ts';
import { wholeMatch } from './regex.ts';
import { jsonObjectGrammar, schemaGrammar } from './schema/convert.ts';
import type { GrammarSpec } from './spec.ts';
import { afterThoughtGrammar } from './tools/thoughts.ts';
import { toolGrammar } from './tools/tool-grammar.ts';

/** Checks a spec and reads it as a grammar; refuses by `invalid_request` what is wrong or not supported. */
export function readSpec(spec: GrammarSpec): Grammar {
  checkLength(spec);
  const grammar = toGrammar(spec);
  checkGrammar(grammar);
  return prune(grammar);
}

function toGrammar(spec: GrammarSpec): Grammar {
  switch (spec.type) {
    case 'json_schema':
      return schemaGrammar(spec.schema);
    case 'json_object':
      return jsonObjectGrammar();
    case 'regex':
      return new Map([[ROOT, { body: wholeMatch(spec.pattern) }]]);
    case 'grammar':
      return parseEbnf(spec.ebnf);
    case 'tool_calls':
      return toolGrammar(spec, toGrammar);
    case 'after_thought':
      return afterThoughtGrammar(spec, toGrammar);
  }
}

function checkLength(spec: GrammarSpec): void {
  const { length } = specKey(spec);
  if (length <= GRAMMAR_LIMITS.numCharacters) return;
  throw refuse(
    `The ${nameOf(spec)} has ${length} characters; at most ${GRAMMAR_LIMITS.numCharacters} are supported.`,
  );
}

function nameOf(spec: GrammarSpec): string {
  if (spec.type === 'after_thought') return nameOf(spec.text);
  return spec.type === 'tool_calls' ? 'list of tools' : spec.type.replace('_', ' ');
}

/** Equal for equal specs. */
export function specKey(spec: GrammarSpec): string {
  try {
    return JSON.stringify(spec);
  } catch {
    throw refuse(`The ${nameOf(spec)} is nested too deeply to be read.`);
  }
}
