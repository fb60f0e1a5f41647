import { TidarError } from '@tidar/shared/errors.ts';

export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new TidarError('invalid_json', 'The body is not valid UTF-8.');
  }
}
