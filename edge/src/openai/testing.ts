import type { ModelInfo } from '@tidar/shared/protocol.ts';

/** A model as a backend tells of it. */
export const model: ModelInfo = {
  id: 'demo',
  fingerprint: 'f',
  context_length: 256,
  block_size: 16,
  draft_length: 4,
  auto_draft_length: 16,
  has_tokenizer: true,
  created: 0,
};
