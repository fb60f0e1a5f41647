import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import type { AnswerMarks } from '../../model/answer/forms.ts';
import { findMarks } from '../../model/answer/forms.ts';
import { unsupportedFeatures } from '../../model/config-features.ts';
import { numWeightBytes, outlineFolder } from '../../model/folder.ts';
import type { FolderOptions, ModelOutline } from '../../model/folder.ts';
import { readJson } from '../../model/json-file.ts';
import { assertFits, countParameters, cpuMemory, deviceMemory } from '../../model/memory.ts';
import type { MemoryNeed } from '../../model/memory.ts';
import { numElements } from '../../model/safetensors.ts';
import { outlineTokenizer } from '../../model/tokenizer-files.ts';

/** Of a model that can be read; all that `inspect` tells. */
export interface Inspection {
  readonly name: string;
  readonly model?: ModelFacts;
  readonly tokenizer?: TokenizerFacts;
  /** What would end a start, one sentence each; none: it would serve. */
  readonly problems: readonly string[];
}

export interface ModelFacts {
  readonly architecture: string;
  readonly numParameters: number;
  readonly numWeightBytes: number;
  /** Elements by the type that the files hold them in. */
  readonly dtypes: Readonly<Record<string, number>>;
  readonly files: readonly string[];
  readonly config: ModelOutline['config'];
  readonly adapter?: { readonly rows: string; readonly numWeights: number; readonly rank: number };
  /** What the flags ask for. */
  readonly quantization?: ModelOutline['quantization'];
  readonly memory: { readonly cpu: MemoryNeed; readonly halfPrecision: MemoryNeed };
}

export interface TokenizerFacts {
  readonly vocabSize: number;
  readonly numAddedTokens: number;
  readonly hasChatTemplate: boolean;
  /** How it writes thoughts and calls of tools. */
  readonly marks: AnswerMarks;
  readonly endTokens: readonly string[];
}

/** Looks at a folder without loading any weight. `availableBytes`: memory that is free now. */
export function inspectFolder(path: string, options: FolderOptions, availableBytes: number): Inspection {
  const folder = resolve(path);
  const problems = new Set<string>();
  const attempt = <T>(look: () => T): T | undefined => {
    try {
      return look();
    } catch (error) {
      if (!(error instanceof TidarError)) throw error;
      problems.add(error.message);
      return undefined;
    }
  };
  const outline = attempt(() => outlineFolder(folder, options));
  if (outline === undefined) attempt(() => otherFeatures(folder).forEach((problem) => problems.add(problem)));
  const tokenizer = outline && attempt(() => tokenizerFacts(outline, options));
  if (outline !== undefined) attempt(() => assertFits(outline.name, cpuMemory(outline), availableBytes));
  return {
    name: basename(folder),
    ...(outline ? { model: modelFacts(outline) } : {}),
    ...(tokenizer ? { tokenizer } : {}),
    problems: [...problems],
  };
}

/** A start names the first feature that it lacks; here all are wanted. */
function otherFeatures(folder: string): string[] {
  if (!existsSync(join(folder, 'config.json'))) return [];
  const json = readJson(folder, 'config.json');
  if (typeof json !== 'object' || json === null) return [];
  const fields = json as Record<string, unknown>;
  return unsupportedFeatures(fields, String(fields['model_type']), 'config.json');
}

function modelFacts(outline: ModelOutline): ModelFacts {
  const { config, tensors, adapter, quantization } = outline;
  const dtypes: Record<string, number> = {};
  for (const { dtype, shape } of tensors.values()) {
    dtypes[dtype] = (dtypes[dtype] ?? 0) + numElements(shape);
  }
  const [pair] = adapter?.weights.values() ?? [];
  return {
    architecture: config.architecture,
    numParameters: countParameters(outline),
    numWeightBytes: numWeightBytes(outline),
    dtypes,
    files: [...new Set([...tensors.values()].map(({ fileName }) => fileName))].toSorted(),
    config,
    ...(adapter && pair
      ? { adapter: { rows: adapter.rows, numWeights: adapter.weights.size, rank: pair.a.shape[0] ?? 0 } }
      : {}),
    ...(quantization === undefined ? {} : { quantization }),
    memory: { cpu: cpuMemory(outline), halfPrecision: deviceMemory(outline, 2) },
  };
}

function tokenizerFacts(
  { path, config }: ModelOutline,
  { toolFormat }: FolderOptions,
): TokenizerFacts | undefined {
  const outline = outlineTokenizer(path, config);
  if (outline === undefined) return undefined;
  const { json, chatTemplate, eosTokenIds } = outline;
  const added = new Map(json.added_tokens.map(({ id, content }) => [id, content]));
  // Added tokens stand in the vocabulary too, or beside it.
  const numOutside = json.added_tokens.filter(
    ({ content }) => !Object.hasOwn(json.model.vocab, content),
  ).length;
  const nameOf = (id: number): string => added.get(id) ?? String(id);
  return {
    vocabSize: Object.keys(json.model.vocab).length + numOutside,
    numAddedTokens: added.size,
    hasChatTemplate: chatTemplate !== undefined,
    marks: findMarks(chatTemplate?.source ?? '', toolFormat),
    endTokens: eosTokenIds.map(nameOf),
  };
}
