import { describe, expect, it } from 'vitest';
import { type Heartbeat, HEARTBEAT_TOLERANCE_MS, signHeartbeat, verifyHeartbeat } from './heartbeat.ts';
import { LEASE_VERSION, signLease, verifyLease } from './lease.ts';

const SECRET = 'first-secret-of-at-least-32-characters';
const OTHER = 'second-secret-of-at-least-32-characters';
const NOW = 1_800_000_000_000;

const heartbeat: Heartbeat = {
  address: 'http://127.0.0.1:9000',
  protocol_version: 3,
  models: [],
  load: { running: 1, queued: 2, max_concurrent: 8 },
  draining: false,
  sent_at_ms: NOW,
};
const refused = { code: 'forbidden' };

describe('a heartbeat', () => {
  it('gives back exactly what was signed, by any secret of a rotation', async () => {
    const curve = { ...heartbeat, slot_curve: [[1, 2.5] as [number, number], [8, 4] as [number, number]] };
    for (const secret of [SECRET, OTHER]) {
      expect(await verifyHeartbeat(await signHeartbeat(curve, secret), [SECRET, OTHER], NOW)).toEqual(curve);
    }
  });

  it('is refused when another secret signed it', async () => {
    const token = await signHeartbeat(heartbeat, OTHER);
    await expect(verifyHeartbeat(token, [SECRET], NOW)).rejects.toMatchObject(refused);
  });

  it('is refused when any bit of it is flipped', async () => {
    const token = await signHeartbeat(heartbeat, SECRET);
    for (let index = 0; index < token.length; index += 1) {
      const flipped = String.fromCharCode(token.charCodeAt(index) ^ (1 << (index % 7)));
      const forged = token.slice(0, index) + flipped + token.slice(index + 1);
      await expect(verifyHeartbeat(forged, [SECRET], NOW)).rejects.toMatchObject(refused);
    }
  });

  it('is refused when it is old, or of a clock that is far ahead', async () => {
    const token = await signHeartbeat(heartbeat, SECRET);
    for (const off of [-HEARTBEAT_TOLERANCE_MS, HEARTBEAT_TOLERANCE_MS]) {
      expect(await verifyHeartbeat(token, [SECRET], NOW + off)).toEqual(heartbeat);
      const tooFar = NOW + off + Math.sign(off);
      await expect(verifyHeartbeat(token, [SECRET], tooFar)).rejects.toMatchObject(refused);
    }
  });

  it('is no lease, and a lease is no heartbeat, though the same secret signs both', async () => {
    const asLease = (await signHeartbeat(heartbeat, SECRET)).replace('hb1', `v${LEASE_VERSION}`);
    await expect(verifyLease(asLease, [SECRET], NOW)).rejects.toMatchObject({ code: 'lease_invalid' });
    const lease = await signLease(
      {
        version: LEASE_VERSION,
        purpose: 'read',
        request_id: 'r',
        attempt: 0,
        choices: 1,
        tenant: 't',
        fingerprint: 'f',
        first_tokens: [0],
        end_token: 0,
        backend: heartbeat.address,
        request_hash: '',
        resume_hash: null,
        expires_at_ms: NOW + 1,
      },
      SECRET,
    );
    const asHeartbeat = lease.replace(`v${LEASE_VERSION}`, 'hb1');
    await expect(verifyHeartbeat(asHeartbeat, [SECRET], NOW)).rejects.toMatchObject(refused);
  });
});
