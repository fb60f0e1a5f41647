import { readFileSync } from 'node:fs';
import { TidarError } from '@tidar/shared/errors.ts';
import { roomFor } from '../decode/check-options.ts';
import type { GenerateOptions } from '../decode/generate.ts';
import type { CompiledGrammar } from '../engine/grammar/compiled-grammar.ts';
import { GrammarCompiler } from '../engine/grammar/grammar-compiler.ts';
import type { GrammarSpec } from '../engine/grammar/spec.ts';
import type { ModelFolder } from '../model/folder.ts';
import { chooseDecoder } from './decoder-flags.ts';
import { FlagError } from './flags.ts';
import type { FormatFlag, GenerateFlags } from './generate-flags.ts';

const DEFAULT_MAX_TOKENS = 256;

/** What the flags ask of this model. */
export function generateOptions(flags: GenerateFlags, folder: ModelFolder): GenerateOptions {
  const { config } = folder;
  const promptIds = encodePrompt(flags, folder);
  const decoder = chooseDecoder(flags.decoder, config);
  const room = Math.max(1, roomFor(promptIds.length, decoder, config));
  return {
    promptIds,
    maxTokens: flags.maxTokens ?? Math.min(DEFAULT_MAX_TOKENS, room),
    decoder,
    sampling: flags.sampling,
    stopTokenIds: flags.stopTokenIds,
    ignoreEos: flags.ignoreEos,
    ...(flags.logprobs === undefined ? {} : { logprobs: flags.logprobs }),
    ...(flags.format === undefined ? {} : { grammar: readFormat(flags.format) }),
  };
}

function encodePrompt({ prompt, stop }: GenerateFlags, { tokenizer, name }: ModelFolder): number[] {
  const refuse = (sentence: string): never => {
    throw new TidarError('invalid_request', sentence);
  };
  if (tokenizer === undefined && stop.length > 0)
    refuse(`${name} has no tokenizer, so --stop can't be used.`);
  if (prompt.type === 'tokens') return prompt.tokenIds;
  if (tokenizer === undefined) return refuse(`${name} has no tokenizer; give the prompt by --prompt-ids.`);
  // Without a chat form text is taken as it is, as the server takes it: who wants a beginning token writes it.
  if (!tokenizer.hasChatTemplate) return tokenizer.encode(prompt.text);
  return tokenizer.encodeChat([{ role: 'user', content: prompt.text }]);
}

function readFormat(format: FormatFlag): GrammarSpec {
  if (format.type === 'regex') return format;
  const flag = format.type === 'json_schema' ? '--json-schema' : '--grammar';
  const text = readText(flag, format.path);
  return format.type === 'grammar' ? { type: 'grammar', ebnf: text } : parseSchema(format.path, text);
}

function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new FlagError(`${flag}: the file ${path} cannot be read (${code}).`);
  }
}

function parseSchema(path: string, text: string): GrammarSpec {
  try {
    return { type: 'json_schema', schema: JSON.parse(text) };
  } catch {
    throw new FlagError(`--json-schema: the file ${path} is not JSON.`);
  }
}

/** The compiled form of the options' grammar, for a model whose tokens are known. */
export async function compileFormat(
  { grammar }: GenerateOptions,
  { tokenizer, config, name }: ModelFolder,
): Promise<CompiledGrammar | undefined> {
  if (grammar === undefined) return undefined;
  if (tokenizer === undefined) {
    throw new TidarError('invalid_request', `${name} has no tokenizer, so its output can have no format.`);
  }
  const compiler = await GrammarCompiler.create(tokenizer, config);
  return compiler.compile(grammar);
}
