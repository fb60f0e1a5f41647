import type { JournalAnswer } from '@tidar/shared/journal.ts';
import type { RequestRecord, UsageCounts } from '../../edge/src/ledger/types.ts';

/** What an undisturbed model answers to an ask: what every whole answer must be. */
export interface Oracle {
  texts: string[];
  finishReasons: string[];
  promptTokens: number;
  /** Of each choice. */
  tokens: number[];
  /** Of all choices. */
  completionTokens: number;
}

/** What a client got of one answer, over all its connections. */
export interface Delivery {
  /** The request id that its chunks name. */
  requestId: string;
  texts: string[];
  /** Tokens of each choice, by the last SSE id. */
  tokens: number[];
}

export type Outcome =
  | { kind: 'whole' }
  /** Told by a status or in the stream. */
  | { kind: 'error'; code: string; message: string }
  /** As it was planned. */
  | { kind: 'left' }
  /** Neither text nor error, however often it asked. */
  | { kind: 'nothing'; why: string };

/** One client's story. Several may have the same idempotency key, and then the same name of their ask. */
export interface ClientStory {
  client: string;
  /** Stands in the metadata of the bill. */
  ask: string;
  hasKey: boolean;
  numPosts: number;
  /** Those that were answered. */
  numConnections: number;
  oracle: Oracle;
  deliveries: Delivery[];
  outcome: Outcome;
  /** What no answer may look like: text after its end, two ends, chunks that do not parse. */
  breaches: string[];
}

/** A row of the ledger with what the journals know of its attempts, on every instance. */
export interface Bill {
  row: RequestRecord;
  ask: string;
  journals: JournalAnswer[];
  /** An instance that had one of its attempts has lost its journal. */
  isJournalLost: boolean;
  /** Tokens of each choice that were proven to the ledger; read only of a bill that tells a loss. */
  provenTokens: number[];
}

export interface RoundFacts {
  stories: ClientStory[];
  bills: Bill[];
  sliceTokens: number;
  /** As the ledger sums them up, and as the directory knows them. */
  ledgerTotal: UsageCounts;
  directoryTotal: UsageCounts;
  heldTokens: number;
  heldByBudget: number;
  /** Processes that should be dead, or were started by nobody. */
  strayProcesses: string[];
}

export interface Verdict {
  lost: number;
  billedTwice: number;
  unbilledTokens: number;
  ruleLossTokens: number;
  /** A sentence for every law that was broken; empty: the round has passed. */
  problems: string[];
}
