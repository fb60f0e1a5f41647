import { join } from 'node:path';
import type { ModelFolder } from '../../model/folder.ts';
import { readTensor } from '../../model/folder.ts';
import { writeGguf } from './gguf.ts';
import type { GgufType } from './gguf.ts';
import { openLlamaPeer } from './llama-cpp.ts';
import type { LlamaPeer, LlamaSettings } from './llama-cpp.ts';
import { decodeConcurrently } from './rounds.ts';
import type { Contender } from './rounds.ts';

export type Ggufs = ReadonlyMap<GgufType, string>;

/** F32, and F16 as well where it holds every weight exactly: then both are the same weights. */
export function writeGgufs(folder: ModelFolder, path: string): Ggufs {
  const types: GgufType[] = isExactInFloat16(folder) ? ['F32', 'F16'] : ['F32'];
  return new Map(
    types.map((type) => {
      const file = join(path, `${type}.gguf`);
      writeGguf(folder, file, type);
      return [type, file];
    }),
  );
}

function isExactInFloat16(folder: ModelFolder): boolean {
  return [...folder.tensors.values()].every(
    ({ name, dtype, shape }) =>
      dtype === 'F16' || shape.length === 1 || readTensor(folder, name).every((x) => Math.f16round(x) === x),
  );
}

export interface LlamaContender extends Contender {
  readonly isSpeculative: boolean;
  /** The same with shorter texts, to find the best setting sooner. */
  readonly brief: Contender;
  readonly peer: LlamaPeer;
}

export type LlamaSize = Pick<LlamaSettings, 'numThreads' | 'numSequences' | 'contextSize'>;

const BRIEF_TOKENS = 16;

/** Drafts that llama.cpp looks up in the prompt: none, its own default, more. */
export const LOOKUP_LENGTHS: readonly number[] = [0, 3, 8];

export interface LlamaChoice {
  readonly maxTokens: number;
  readonly lookupLengths?: readonly number[];
}

/** Everything that llama.cpp offers here: either type of weights, flash attention, drafts looked up in the prompt. */
export async function openLlamas(
  ggufs: Ggufs,
  size: LlamaSize,
  { maxTokens, lookupLengths = LOOKUP_LENGTHS }: LlamaChoice,
): Promise<LlamaContender[]> {
  const contenders: LlamaContender[] = [];
  for (const [type, ggufPath] of ggufs) {
    for (const flashAttention of [false, true]) {
      for (const lookupLength of lookupLengths) {
        const peer = await openLlamaPeer({
          ...size,
          ggufPath,
          flashAttention,
          lookupLength,
          cacheType: 'F16',
        });
        const lookup = lookupLength === 0 ? '' : `, lookup ${lookupLength}`;
        const name = `llama.cpp ${type}, flash attention ${flashAttention ? 'on' : 'off'}${lookup}`;
        const contender = (numTokens: number): Contender => ({
          name,
          decode: (prompts) =>
            decodeConcurrently(prompts, size.numSequences, (prompt) => peer.decode(prompt, numTokens)),
        });
        const brief = contender(Math.min(maxTokens, BRIEF_TOKENS));
        contenders.push({ ...contender(maxTokens), brief, isSpeculative: lookupLength > 0, peer });
      }
    }
  }
  return contenders;
}
