import { Block, MASK } from './diffusion/block.ts';
import type { DiffusionOptions } from './diffusion/options.ts';
import type { Layout } from './layout.ts';
import type { Plan } from './plan.ts';
import type { RowReader } from './row-reader.ts';
import type { GrammarState } from './grammar/grammar-state.ts';
import { tokenLogprobs } from './sampling/logprobs.ts';
import type { TokenLogprob } from './sampling/logprobs.ts';
import { TokenDrawer } from './sampling/token-drawer.ts';
import type { Sampling } from './sampling/settings.ts';
import type { DraftOdds } from './trace.ts';

/** One drafted token. */
export interface Draft {
  readonly tokenId: number;
  /** The runner-up of the same keyed draw, which is a likely correction (-1: there is none). */
  readonly secondBest: number;
  /** By how much the draft won its keyed draw: how sure it is. */
  readonly margin: number;
  /** Where the sequence is traced, of what a row of its own pass drafted. */
  readonly odds?: DraftOdds;
}

/**
 * What a sequence's drafts come from: the block after all drafts were accepted, one that drafted blind after a
 * rejection, or one that knew the token in the rejected draft's place.
 */
export type DraftOrigin = 'full' | 'blind' | 'corrected';

export type FinishReason = 'stop' | 'length';

export interface SequenceOptions {
  readonly promptIds: readonly number[];
  /** Tokens that an earlier run of the same request decided; they count towards `maxTokens`. */
  readonly committedIds?: readonly number[];
  readonly maxTokens: number;
  /** End the text: the model's own end tokens and the request's stop ids. */
  readonly stopTokenIds: ReadonlySet<number>;
  readonly sampling: Sampling;
  readonly choice?: number;
  /** Trust in the causal rows; 1 gives the text of plain autoregression. */
  readonly beta: number;
  /** Makes it a text of block diffusion, which has a law of its own. */
  readonly diffusion?: DiffusionOptions | undefined;
  /** Alternatives told beside each token's log-probability; absent: no log-probabilities. */
  readonly numLogprobs?: number | undefined;
  readonly numPromptLogprobs?: number | undefined;
  /** Whether its passes tell what they did, row by row. */
  readonly isTraced?: boolean | undefined;
  /** Owned by the sequence, which disposes of it. */
  readonly grammar?: GrammarState | undefined;
  /** Lent by the text that this one drafts for, whose text it has seen; absent: the sequence has its own. */
  readonly drawer?: TokenDrawer | undefined;
}

/**
 * State between steps. `tokenIds` are the prompt and every decided token; of them, cache columns
 * [0, numCommitted) hold exact keys and values. Between steps exactly one token, the last decided one, is not
 * committed yet; before the first step, and after a loss of the cache, all are pending. Columns from numCommitted on
 * are scratch. In block diffusion, what stands before the block under way is committed or pending, and of the block
 * only the leading tokens are decided.
 */
export class Sequence {
  readonly tokenIds: number[];
  readonly numPromptTokens: number;
  readonly options: SequenceOptions;
  readonly drawer: TokenDrawer;
  /** drafts[i] is proposed for position tokenIds.length + i. */
  drafts: readonly Draft[] = [];
  draftOrigin: DraftOrigin = 'full';
  /** Of block diffusion: the block under way. */
  block: Block | undefined;
  numCommitted = 0;
  /** Block length of the dense plan that beta below 1 is bound to; 0 before the first step. */
  trustDraftLength = 0;
  finishReason: FinishReason | undefined;
  /**
   * Completion tokens that may be there for now: a run is cut at it, and goes on as if it had not been once this is
   * raised. Nobody steps a sequence that has reached it.
   */
  grantEnd = Infinity;
  /** Of the prompt's tokens so far; the first has no row before it. */
  readonly promptLogprobs: (TokenLogprob | null)[] = [];

  constructor(options: SequenceOptions, vocabSize: number) {
    const { promptIds, committedIds = [], sampling, choice = 0, grammar } = options;
    this.options = options;
    this.tokenIds = [...promptIds, ...committedIds];
    this.numPromptTokens = promptIds.length;
    const { stopTokenIds: endTokenIds, diffusion } = options;
    if (diffusion !== undefined) this.block = blockFor(diffusion, promptIds.length, committedIds.length);
    const numKnown = (this.block?.start ?? this.tokenIds.length) - promptIds.length;
    const known = { promptIds, committedIds: committedIds.slice(0, numKnown) };
    this.drawer =
      options.drawer ?? new TokenDrawer({ sampling, choice, vocabSize, ...known, endTokenIds, grammar });
    if (committedIds.length > 0)
      this.finishReason = this.finishAfter(this.tokenIds.at(-1), committedIds.length);
  }

  get numCompletionTokens(): number {
    return this.tokenIds.length - this.numPromptTokens;
  }

  /** A trace tells the probabilities of its tokens too. */
  get numLogprobs(): number | undefined {
    return this.options.numLogprobs ?? (this.options.isTraced === true ? 0 : undefined);
  }

  /** Of each row; a trace looks up tokens that others than the row chose. */
  get numCandidatesWanted(): number {
    return this.options.isTraced === true ? Infinity : this.drawer.numCandidatesWanted;
  }

  get isPaused(): boolean {
    return this.numCompletionTokens >= this.grantEnd;
  }

  get numRemainingTokens(): number {
    return this.options.maxTokens - this.numCompletionTokens;
  }

  /** Tokens that are known but not in the cache yet; the last of them is draft row 1. */
  get pendingTokenIds(): readonly number[] {
    return this.tokenIds.slice(this.numCommitted, this.#numCausalTokens);
  }

  get numPendingTokens(): number {
    return this.#numCausalTokens - this.numCommitted;
  }

  /** Nothing is pending but what the last step decided; in block diffusion, what it filled. */
  get isPrefilled(): boolean {
    const { block, numPendingTokens } = this;
    if (block === undefined) return numPendingTokens === 1;
    return this.numCommitted >= this.numPromptTokens && numPendingTokens <= block.tokenIds.length;
  }

  /** Tokens whose columns are, or will be, those of causal rows. */
  get #numCausalTokens(): number {
    return this.block?.start ?? this.tokenIds.length;
  }

  get draftTokenIds(): readonly number[] {
    return this.drafts.map((draft) => draft.tokenId);
  }

  /** Takes the tokens that a step decided; the columns of all but the last hold their exact keys and values. */
  commit(decided: readonly number[], drafts: readonly Draft[], plan: Plan, outcome: number): void {
    for (const tokenId of decided) this.tokenIds.push(tokenId);
    this.numCommitted = this.tokenIds.length - 1;
    this.drafts = drafts;
    const happened = plan.outcomes[outcome];
    if (happened?.correction !== undefined) this.draftOrigin = 'corrected';
    else if (happened !== undefined)
      this.draftOrigin = decided.length === plan.numDraftRows ? 'full' : 'blind';
    if (this.options.drawer === undefined) this.drawer.release(this.tokenIds.length);
  }

  /** After a pass over the block: its leading tokens are decided, and a full block makes way for the next. */
  commitBlock(): { tokenIds: number[]; logprobs: TokenLogprob[] } {
    const { block } = this;
    if (block === undefined) throw new RangeError('no block is under way');
    const [tokenIds, logprobs]: [number[], TokenLogprob[]] = [[], []];
    this.numCommitted = block.start;
    while (this.finishReason === undefined && !this.isPaused) {
      const offset = this.tokenIds.length - block.start;
      const [tokenId, logprob] = [block.tokenIds[offset] ?? MASK, block.logprobs[offset]];
      if (tokenId === MASK) break;
      this.tokenIds.push(tokenId);
      tokenIds.push(tokenId);
      if (logprob !== undefined) logprobs.push(logprob);
      this.finishReason = this.finishAfter(tokenId, this.numCompletionTokens);
    }
    const end = block.start + block.tokenIds.length;
    if (this.tokenIds.length === end && block.isFull) this.block = new Block(end, block.tokenIds.length);
    this.drawer.release(this.block?.start ?? 0);
    return { tokenIds, logprobs };
  }

  /** Whether rows of the prompt are read for their own tokens' probabilities. */
  get readsPrompt(): boolean {
    return this.options.numPromptLogprobs !== undefined && this.promptLogprobs.length < this.numPromptTokens;
  }

  /** Takes the prompt's probabilities from a pass that ran rows of it: the row before a token tells that token's. */
  readPrompt(layout: Layout, rows: RowReader): void {
    const { numPromptLogprobs: numAlternatives } = this.options;
    if (numAlternatives === undefined) return;
    if (this.promptLogprobs.length === 0) this.promptLogprobs.push(null);
    for (let row = 0; row < layout.numPendingRows; row++) {
      const position = layout.writeIndex + row + 1;
      if (position !== this.promptLogprobs.length || position >= this.numPromptTokens) continue;
      this.promptLogprobs.push(tokenLogprobs(rows.row(row), this.tokenIds[position] ?? -1, numAlternatives));
    }
  }

  /** Takes a prefill chunk, or columns restored from a prefix cache: nothing is decided. */
  commitPending(numTokens: number): void {
    if (numTokens >= this.numPendingTokens)
      throw new RangeError('the last pending token decides the next one');
    this.numCommitted += numTokens;
  }

  /** Drafts from elsewhere take the place of those that there are. */
  propose(drafts: readonly Draft[]): void {
    this.drafts = drafts;
  }

  /** Another text than was decided here goes on: what is committed stays as far as both agree. */
  rewrite(tokenIds: readonly number[]): void {
    const differs = tokenIds.findIndex((tokenId, at) => this.tokenIds[at] !== tokenId);
    const numSame = differs < 0 ? tokenIds.length : differs;
    this.tokenIds.length = Math.min(this.tokenIds.length, numSame);
    for (const tokenId of tokenIds.slice(this.tokenIds.length)) this.tokenIds.push(tokenId);
    this.numCommitted = Math.min(this.numCommitted, numSame, tokenIds.length - 1);
    this.drafts = [];
    this.finishReason = undefined;
  }

  /** The cache is lost: everything is pending again, and the text goes on as if nothing had happened. */
  uncommit(): void {
    this.numCommitted = 0;
    this.drafts = [];
  }

  /** Ends the text at an earlier token, which completed a stop string: later ones were never decided. */
  cutTo(numCompletionTokens: number): void {
    this.tokenIds.length = this.numPromptTokens + numCompletionTokens;
    this.numCommitted = Math.min(this.numCommitted, this.tokenIds.length);
    this.drafts = [];
    this.finishReason = 'stop';
  }

  /** Whether a completion whose token number `numCompletionTokens` is `tokenId` ends there, and why. */
  finishAfter(tokenId: number | undefined, numCompletionTokens: number): FinishReason | undefined {
    if (tokenId !== undefined && this.options.stopTokenIds.has(tokenId)) return 'stop';
    return numCompletionTokens >= this.options.maxTokens ? 'length' : undefined;
  }

  dispose(): void {
    this.options.grammar?.dispose();
  }
}

/** Blocks are counted from the prompt's end: one that was decided in part is begun anew, and comes to the same. */
function blockFor({ blockLength }: DiffusionOptions, numPromptTokens: number, numCommitted: number): Block {
  return new Block(numPromptTokens + numCommitted - (numCommitted % blockLength), blockLength);
}
