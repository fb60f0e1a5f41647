import { resolve } from 'node:path';
import { ADAPTER_ROWS } from '../model/adapter.ts';
import { TOOL_FORMATS } from '../model/answer/forms.ts';
import type { FolderOptions } from '../model/folder.ts';
import { QUANTIZATIONS } from '../model/quantization/scheme.ts';
import { numberFlag, oneOf, stringFlag, wholeNumber } from './flags.ts';
import type { ParsedFlags } from './flags.ts';

const text = { type: 'string' } as const;

/** What a command line says of a model folder beside its path. */
export const FOLDER_FLAGS = {
  'mask-token': text,
  'block-size': text,
  adapter: text,
  'adapter-rows': text,
  quantize: text,
  'tool-format': text,
} as const;

export const FOLDER_HELP = `  --mask-token ID      TiDAR's mask token and block size, where config.json has no
  --block-size N       fields for them or others are wanted
  --adapter PATH       a PEFT folder (LoRA); 'none' leaves out the one that the model brings
  --adapter-rows NAME  masks: it acts on drafts alone; all: as if merged (masks where the model drafts)
  --quantize NAME      int8 or int4: products' weights in so many bits; less memory, other numbers
  --tool-format NAME   how it writes calls of tools, where its chat template does not tell: hermes, llama, mistral,
                       mistral-args, nemotron, xml; none: it has no tools`;

export function parseFolderFlags(flags: ParsedFlags): FolderOptions {
  return {
    maskTokenId: numberFlag(flags, 'mask-token', undefined, wholeNumber(0)),
    blockSize: numberFlag(flags, 'block-size', undefined, wholeNumber(1)),
    adapter: stringFlag(flags, 'adapter'),
    adapterRows: oneOf(flags, 'adapter-rows', ADAPTER_ROWS),
    quantize: oneOf(flags, 'quantize', QUANTIZATIONS),
    toolFormat: oneOf(flags, 'tool-format', TOOL_FORMATS),
  };
}

/** The process that reads the folder may run in another place than the person. */
export function withResolvedAdapter(options: FolderOptions, from: string): FolderOptions {
  const { adapter } = options;
  if (adapter === undefined || adapter === 'none') return options;
  return { ...options, adapter: resolve(from, adapter) };
}

/** The same flags again, for another process. */
export function folderArguments(options: FolderOptions): string[] {
  const values = {
    'mask-token': options.maskTokenId,
    'block-size': options.blockSize,
    adapter: options.adapter,
    'adapter-rows': options.adapterRows,
    quantize: options.quantize,
    'tool-format': options.toolFormat,
  } satisfies Record<keyof typeof FOLDER_FLAGS, unknown>;
  return Object.entries(values).flatMap(([flag, value]) =>
    value === undefined ? [] : [`--${flag}`, String(value)],
  );
}
