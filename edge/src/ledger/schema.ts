/** Each entry brings a ledger's tables from the version of its index to the next; entries are never changed. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE key (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    key_id TEXT NOT NULL,
    name TEXT,
    secret_hash TEXT NOT NULL,
    requests_per_minute INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    bucket_level_units INTEGER NOT NULL,
    bucket_updated_at_ms INTEGER NOT NULL
  );
  CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    user TEXT,
    metadata TEXT,
    admitted_at_ms INTEGER NOT NULL,
    -- What the request may still cost at most; 0 once settled.
    hold_tokens INTEGER NOT NULL,
    -- The highest counts that anyone has proven so far; the bill, once settled.
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    num_forward_passes INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settled')),
    finish_reason TEXT,
    -- 1 where the counts are what was proven delivered and not the backend's own total.
    estimated INTEGER NOT NULL DEFAULT 0,
    -- When the alarm settles it if nobody else has.
    due_at_ms INTEGER NOT NULL,
    settled_at_ms INTEGER
  );
  CREATE INDEX requests_due ON requests (due_at_ms) WHERE state = 'open';
  CREATE INDEX requests_admitted ON requests (admitted_at_ms);
  CREATE TABLE totals (
    day TEXT NOT NULL,
    model TEXT NOT NULL,
    num_requests INTEGER NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    num_forward_passes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, model)
  );
  `,
];
