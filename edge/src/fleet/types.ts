import type { Heartbeat } from '@tidar/shared/heartbeat.ts';

/** What the admin sees of a backend. */
export interface BackendView {
  object: 'backend';
  address: string;
  /** Silent: its heartbeats have stopped, and nothing goes there. */
  status: 'ok' | 'draining' | 'unreachable' | 'incompatible' | 'silent';
  models: { id: string; fingerprint: string; context_length: number; block_size: number }[];
  /** Null: it sends no heartbeats, so that nobody knows. */
  load: Heartbeat['load'] | null;
  /** Milliseconds of a pass by how many texts share it: pairs of texts and milliseconds. */
  slot_curve: number[][] | null;
  /** Since its last heartbeat came; null: none did. */
  heartbeat_age_ms: number | null;
}
