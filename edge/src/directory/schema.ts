/** As the ledger's: each entry brings the tables one version further, and is never changed. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    -- JSON of KeyView.
    view TEXT NOT NULL,
    version INTEGER NOT NULL
  );
  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- The number that the subject's ledger gave the change; null for what happens in the directory itself.
    seq INTEGER,
    detail TEXT NOT NULL,
    UNIQUE (subject, seq)
  );
  CREATE TABLE totals (
    key_id TEXT NOT NULL,
    day TEXT NOT NULL,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    num_requests INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    num_forward_passes INTEGER NOT NULL,
    cost_nanos INTEGER NOT NULL,
    PRIMARY KEY (key_id, day, model)
  );
  CREATE INDEX totals_day ON totals (day);
  CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    -- JSON list of scopes.
    scopes TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER
  );
  `,
  // What the rule for lost journals may have lost.
  `
  ALTER TABLE totals ADD COLUMN rule_loss_tokens INTEGER NOT NULL DEFAULT 0;
  `,
  // Whom to ask what runs now.
  `
  CREATE TABLE uses (key_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL);
  CREATE INDEX uses_at ON uses (at_ms);
  `,
];
