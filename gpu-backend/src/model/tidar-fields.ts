import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from './config.ts';

/** TiDAR's own fields as flags give them: a folder in its backbone's plain form doesn't name them. */
export interface TidarFields {
  readonly maskTokenId?: number | undefined;
  readonly blockSize?: number | undefined;
}

/** The config with these fields over its own. */
export function withTidarFields(config: ModelConfig, fields: TidarFields): ModelConfig {
  const maskTokenId = fields.maskTokenId ?? config.tidar?.maskTokenId;
  const blockSize = fields.blockSize ?? config.tidar?.blockSize;
  if (maskTokenId === undefined && blockSize === undefined) return config;
  if (maskTokenId === undefined || blockSize === undefined) {
    const [given, missing] =
      maskTokenId === undefined ? ['block-size', 'mask-token'] : ['mask-token', 'block-size'];
    throw new TidarError(
      'invalid_request',
      `--${given} needs --${missing} too: config.json has no TiDAR fields of its own.`,
    );
  }
  if (maskTokenId >= config.vocabSize) {
    throw new TidarError(
      'invalid_request',
      `--mask-token is ${maskTokenId}; expected a token id below vocab_size ${config.vocabSize}.`,
    );
  }
  return { ...config, tidar: { maskTokenId, blockSize } };
}
