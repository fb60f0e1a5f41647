import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Decoder } from '@tidar/shared/decoder.ts';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelInfo } from '@tidar/shared/protocol.ts';
import { NAMED_PLAN_DRAFT_LENGTH } from '../decode/decoder.ts';
import { fingerprint } from '../model/fingerprint.ts';
import type { ModelFolder } from '../model/folder.ts';
import type { ServerConfig } from './config.ts';
import type { EngineClient } from './engine-client.ts';
import { Generations } from './generations.ts';
import { Journal } from './journal/journal.ts';
import type { Log } from './log.ts';
import { Metrics } from './metrics.ts';

/** All that the routes share. */
export class Backend {
  readonly config: ServerConfig;
  readonly folder: ModelFolder;
  readonly engine: EngineClient;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly journal: Journal;
  readonly generations: Generations;
  /** The address that leases must name; it is known when the server listens. */
  instance: string;
  readonly #createdSeconds: number;

  constructor(config: ServerConfig, folder: ModelFolder, engine: EngineClient, log: Log) {
    this.config = config;
    this.folder = folder;
    this.engine = engine;
    this.log = log;
    this.metrics = new Metrics(engine, folder.name);
    this.journal = new Journal({
      path: config.journalPath,
      retentionMs: config.journalRetentionMs,
      onWrite: (seconds, numEntries) => this.metrics.onJournalWrite(seconds, numEntries),
    });
    this.metrics.watchJournal(this.journal);
    const { clientGraceMs, sliceWaitMs } = config;
    this.generations = new Generations({
      engine,
      journal: this.journal,
      host: this,
      clientGraceMs,
      sliceWaitMs,
    });
    this.#createdSeconds = Math.floor(statSync(join(folder.path, 'config.json')).mtimeMs / 1000);
    this.instance = config.instance ?? `http://${config.host}:${config.port}`;
  }

  #decoders(hasDiffusion: boolean): Decoder['type'][] {
    const hasDraftModel = this.config.draftModelPath !== undefined;
    return [
      'ar',
      ...(hasDiffusion ? (['tidar', 'diffusion'] as const) : []),
      ...(hasDraftModel ? (['speculative'] as const) : []),
    ];
  }

  /** Throws `backend_unavailable` while the model is being loaded. */
  get model(): ModelInfo {
    const { folder, engine } = this;
    const { draftLength } = this.config;
    const blockSize = folder.config.tidar?.blockSize ?? 0;
    if (engine.runtime === undefined) {
      throw new TidarError('backend_unavailable', 'The model is still being loaded; try again in a moment.');
    }
    return {
      id: folder.name,
      fingerprint: fingerprint(folder, engine.runtime),
      context_length: folder.config.maxPositions,
      block_size: blockSize,
      draft_length: blockSize === 0 ? 0 : (draftLength ?? Math.min(blockSize, NAMED_PLAN_DRAFT_LENGTH)),
      // 'auto' drafts as far as pays; longer than the model was trained for it is no use to try.
      auto_draft_length: blockSize === 0 ? 0 : (draftLength ?? blockSize),
      has_tokenizer: folder.tokenizer !== undefined,
      decoders: this.#decoders(blockSize > 0),
      tool_format: folder.tokenizer?.marks.calls ?? null,
      created: this.#createdSeconds,
    };
  }
}
