import { z } from 'zod';
import { TidarError } from './errors.ts';
import { fromBase64Url, hmac, signedByAny, toBase64Url, utf8 } from './lease.ts';
import { modelInfoSchema } from './protocol.ts';

/** Where a backend posts it on the edge, and how often. */
export const HEARTBEAT_PATH = '/internal/heartbeat';
export const HEARTBEAT_INTERVAL_MS = 2000;
/** How far the clocks of a backend and its edge may be apart. */
export const HEARTBEAT_TOLERANCE_MS = 30_000;
const VERSION = 'hb1';
/** Under the MAC: no heartbeat is a lease, and no lease a heartbeat, though one secret signs both. */
const DOMAIN = 'tidar heartbeat\n';

const count = z.int().nonnegative();

/** What a backend says of itself. It is the signed text: the body of the request is the same JSON. */
export const heartbeatSchema = z.object({
  /** Where leases and requests reach it. */
  address: z.url({ protocol: /^https?$/ }),
  protocol_version: count,
  models: z.array(modelInfoSchema),
  load: z.object({ running: count, queued: count, max_concurrent: count }),
  /** Milliseconds of a pass by how many texts share it, as measured: `[texts, milliseconds]`. */
  slot_curve: z.array(z.tuple([count, z.number().nonnegative()])).optional(),
  draining: z.boolean(),
  sent_at_ms: count,
});
export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** `hb1.<payload>.<mac>`, both in base64url: the header `Authorization: Bearer …` of its request. */
export async function signHeartbeat(heartbeat: Heartbeat, secret: string): Promise<string> {
  const payload = toBase64Url(utf8(JSON.stringify(heartbeatSchema.parse(heartbeat))));
  return `${VERSION}.${payload}.${toBase64Url(await hmac(signedText(payload), secret))}`;
}

/** The heartbeat that one of the secrets signed a short while ago; anything else throws `forbidden`. */
export async function verifyHeartbeat(
  token: string,
  secrets: readonly string[],
  nowMs: number,
): Promise<Heartbeat> {
  const [version, payload, macPart, ...rest] = token.split('.');
  if (version !== VERSION || payload === undefined || rest.length > 0) throw refused('not of its form');
  const mac = fromBase64Url(macPart ?? '');
  if (mac === undefined || !(await signedByAny(secrets, mac, signedText(payload)))) {
    throw refused('wrong signature');
  }
  const heartbeat = parsePayload(payload);
  if (Math.abs(heartbeat.sent_at_ms - nowMs) > HEARTBEAT_TOLERANCE_MS) {
    throw refused(`sent at ${heartbeat.sent_at_ms}, it is ${nowMs} here`);
  }
  return heartbeat;
}

const signedText = (payload: string): Uint8Array<ArrayBuffer> => utf8(`${DOMAIN}${VERSION}.${payload}`);

function parsePayload(payload: string): Heartbeat {
  try {
    const bytes = fromBase64Url(payload);
    return heartbeatSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw refused(`payload does not parse: ${String(error)}`);
  }
}

const MESSAGE =
  'The heartbeat is not valid: backend and edge need a LEASE_SECRETS in common, and clocks that agree.';
const refused = (internal: string): TidarError => new TidarError('forbidden', MESSAGE, { internal });
