import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { TidarError } from '@tidar/shared/errors.ts';
import { z } from 'zod';
import type { ChatMessage, ChatTemplate, ChatTemplateOptions } from './chat-template.ts';
import type { AnswerMarks, ToolFormat } from './answer/forms.ts';
import { findMarks, markChar } from './answer/forms.ts';
import { invalidFile } from './json-file.ts';
import { makeSpecialTokenGuard } from './special-tokens.ts';
import type { PieceDecoder, PieceTable, TextStream, TokenPiece } from './token-pieces.ts';
import { makePieceDecoder, makeTextStream } from './token-pieces.ts';

/** Text to token ids and back, for one model. */
export interface Tokenizer {
  /** Every token id is below this. */
  readonly vocabSize: number;
  readonly bosTokenId?: number;
  readonly eosTokenIds: readonly number[];
  readonly hasChatTemplate: boolean;
  /** The text of the chat template; empty where there is none. */
  readonly templateSource: string;
  /** How the model writes thoughts and calls, as its template or its operator tells. */
  readonly marks: AnswerMarks;
  /** Adds no special tokens of its own; the text of a special token becomes that token. */
  encode(text: string): number[];
  /** The text of the ids; special tokens have none. */
  decode(ids: readonly number[]): string;
  /** The bytes that a token adds to a text; undefined for special tokens and unused ids, which add none. */
  bytesOf(id: number): Uint8Array | undefined;
  /** What a special token is called in tokenizer.json; undefined for all others. */
  specialName(id: number): string | undefined;
  /** Whether a special token is called so. */
  isSpecial(name: string): boolean;
  /**
   * Decodes as tokens come: the parts joined equal `decode` of all. Special tokens of these names are told by their
   * `markChar`: what spells a name in other tokens is not taken for it.
   */
  stream(marks?: readonly string[]): TextStream;
  /** The chat form as text. To run it use `encodeChat`: here content can pass for a special token. */
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): string;
  /** The chat form as token ids; special tokens are only those that the template wrote. */
  encodeChat(messages: readonly ChatMessage[], options?: ChatTemplateOptions): number[];
}

export interface TokenizerParts {
  /** tokenizer.json, parsed. */
  json: unknown;
  fileName: string;
  chatTemplate?: ChatTemplate;
  bosTokenId?: number;
  eosTokenIds: readonly number[];
  /** In place of what the template shows of it. */
  toolFormat?: ToolFormat | undefined;
}

const addedTokenSchema = z.looseObject({
  id: z.int().nonnegative(),
  content: z.string().min(1),
  special: z.boolean().default(false),
});
/** Checked by hand: z.record would copy the object, and lose a token that is called __proto__. */
const vocabSchema = z.custom<Record<string, number>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((id) => Number.isInteger(id) && (id as number) >= 0),
  'expected an object from tokens to token ids',
);
const tokenizerSchema = z.looseObject({
  model: z.looseObject({ type: z.literal('BPE'), vocab: vocabSchema }),
  added_tokens: z.array(addedTokenSchema).default([]),
  decoder: z.unknown(),
  normalizer: z.unknown().default(null),
  pre_tokenizer: z.unknown().default(null),
  post_processor: z.unknown().default(null),
});
export type TokenizerJson = z.infer<typeof tokenizerSchema>;

/** Checks the parts of tokenizer.json that this project reads itself. */
export function parseTokenizerJson(json: unknown, fileName: string): TokenizerJson {
  const parsed = tokenizerSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join('.') ?? '';
  const supported = field === 'model.type' ? 'model.type is not "BPE", the only one that is implemented' : '';
  throw invalidFile(fileName, `${supported || `${field}: ${issue?.message ?? 'is malformed'}`}.`);
}

/** The id of a token by its exact text, added tokens first. */
export function findTokenId(json: TokenizerJson, token: string): number | undefined {
  const added = json.added_tokens.find(({ content }) => content === token);
  return added?.id ?? (Object.hasOwn(json.model.vocab, token) ? json.model.vocab[token] : undefined);
}

/** Builds a tokenizer from a parsed tokenizer.json. */
export function makeTokenizer(json: TokenizerJson, parts: Omit<TokenizerParts, 'json'>): Tokenizer {
  const { fileName, chatTemplate, bosTokenId, eosTokenIds, toolFormat } = parts;
  const templateSource = chatTemplate?.source ?? '';
  const decoder = makePieceDecoder(json.decoder, fileName);
  const pieces = makePieces(json, decoder);
  const encoders = makeEncoders(json, fileName, chatTemplate);
  const specialNames = new Map(
    json.added_tokens.filter(({ special }) => special).map(({ id, content }) => [id, content]),
  );
  const specials = new Set(specialNames.values());
  const stream = (marks: readonly string[] = []): TextStream =>
    makeTextStream(withMarks(pieces, specialNames, marks), decoder);
  return {
    vocabSize: pieces.length,
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    eosTokenIds,
    hasChatTemplate: chatTemplate !== undefined,
    templateSource,
    marks: findMarks(templateSource, toolFormat),
    ...encoders,
    decode: (ids) => {
      const text = stream();
      return text.push(ids) + text.flush();
    },
    bytesOf: (tokenId) => pieceBytes(pieces[tokenId]),
    specialName: (id) => specialNames.get(id),
    isSpecial: (name) => specials.has(name),
    stream,
    applyChatTemplate: (messages, options) => requireTemplate(chatTemplate)(messages, options),
  };
}

function requireTemplate(chatTemplate: ChatTemplate | undefined): ChatTemplate {
  if (chatTemplate !== undefined) return chatTemplate;
  throw new TidarError('invalid_request', 'This model has no chat template; send text or token ids instead.');
}

/** The piece of each token id; none for special tokens, which have no text. */
function makePieces(json: TokenizerJson, decoder: PieceDecoder): (TokenPiece | undefined)[] {
  const pieces: (TokenPiece | undefined)[] = [];
  for (const [token, id] of Object.entries(json.model.vocab)) pieces[id] = decoder.toPiece(token);
  for (const { id, content, special } of json.added_tokens) {
    pieces[id] = special ? undefined : { type: 'text', text: content };
  }
  return pieces;
}

/** The same pieces, and what stands for these special tokens. */
function withMarks(
  pieces: readonly (TokenPiece | undefined)[],
  specialNames: ReadonlyMap<number, string>,
  marks: readonly string[],
): PieceTable {
  const texts = new Map(
    [...specialNames].flatMap(([id, name]) => {
      const index = marks.indexOf(name);
      return index === -1 ? [] : [[id, markChar(index)] as const];
    }),
  );
  if (texts.size === 0) return (id) => pieces[id];
  return (id) => {
    const text = texts.get(id);
    return text === undefined ? pieces[id] : { type: 'text', text };
  };
}

function pieceBytes(piece: TokenPiece | undefined): Uint8Array | undefined {
  return piece?.type === 'text' ? new TextEncoder().encode(piece.text) : piece?.bytes;
}

function openTokenizer(json: object, fileName: string): HuggingFaceTokenizer {
  try {
    return new HuggingFaceTokenizer(json, {});
  } catch (error) {
    throw invalidFile(fileName, `cannot be used (${(error as Error).message}).`);
  }
}

/**
 * One tokenizer, which knows the special tokens by their secret names alone, encodes both: in a text their own names
 * are renamed everywhere, in a chat only where the template wrote them. A second tokenizer would take as much memory
 * and time to make again.
 */
function makeEncoders(
  json: TokenizerJson,
  fileName: string,
  chatTemplate: ChatTemplate | undefined,
): Pick<Tokenizer, 'encode' | 'encodeChat'> {
  const specials = new Set(json.added_tokens.filter(({ special }) => special).map(({ content }) => content));
  const guard = makeSpecialTokenGuard([...specials]);
  const vocab = Object.fromEntries(
    Object.entries(json.model.vocab).filter(([token]) => !specials.has(token)),
  );
  const addedTokens = json.added_tokens.map((token) => ({
    ...token,
    content: token.special ? guard.secretName(token.content) : token.content,
  }));
  const secretJson = { ...json, model: { ...json.model, vocab }, added_tokens: addedTokens };
  const tokenizer = openTokenizer(secretJson, fileName);
  const encodeRenamed = (text: string): number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
  return {
    encode: (text) => encodeRenamed(guard.rename(text)),
    encodeChat: (messages, options) => {
      const guarded = messages.map(({ role, ...fields }) => ({ role, ...guard.guardAll(fields) }));
      const { tools, variables } = options ?? {};
      const rest = {
        ...(tools === undefined ? {} : { tools: guard.guardAll(tools) }),
        ...(variables === undefined ? {} : { variables: guard.guardAll(variables) }),
      };
      return encodeRenamed(guard.rename(requireTemplate(chatTemplate)(guarded, { ...options, ...rest })));
    },
  };
}
