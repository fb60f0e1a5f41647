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
  // Several secrets a key, all its settings in one column, money, idempotency, and what the directory has yet to hear.
  `
  CREATE TABLE new_key (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    key_id TEXT NOT NULL,
    -- JSON of KeySettings.
    settings TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER,
    -- Null: full.
    request_level_units INTEGER,
    request_updated_at_ms INTEGER,
    token_level_units INTEGER,
    token_updated_at_ms INTEGER,
    -- The number of the last change that was made to the key.
    event_seq INTEGER NOT NULL
  );
  INSERT INTO new_key SELECT 1, key_id,
    json_object('name', name, 'metadata', json('{}'), 'models', NULL, 'requests_per_minute', requests_per_minute,
      'tokens_per_minute', NULL, 'concurrent_streams', NULL, 'budget_tokens', NULL, 'budget_nanos', NULL,
      'budget_refill', NULL, 'expires_at', NULL),
    created_at_ms, NULL, bucket_level_units, bucket_updated_at_ms, NULL, NULL, 1 FROM key;
  CREATE TABLE secrets (
    hash TEXT PRIMARY KEY,
    created_at_ms INTEGER NOT NULL,
    -- Null: as long as the key.
    valid_until_ms INTEGER
  );
  INSERT INTO secrets SELECT secret_hash, created_at_ms, NULL FROM key;
  -- Changes that the directory has not confirmed.
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
  );
  INSERT INTO events SELECT 1, created_at_ms, 'admin', 'key.create', '{}' FROM key;
  DROP TABLE key;
  ALTER TABLE new_key RENAME TO key;

  ALTER TABLE requests ADD COLUMN fingerprint TEXT;
  ALTER TABLE requests ADD COLUMN seed TEXT;
  -- SHA-256 of the completion's token ids by choice.
  ALTER TABLE requests ADD COLUMN tokens_hash TEXT;
  -- The price at admission: later prices change no bill.
  ALTER TABLE requests ADD COLUMN prompt_price INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE requests ADD COLUMN cached_price INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE requests ADD COLUMN completion_price INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE requests ADD COLUMN hold_nanos INTEGER NOT NULL DEFAULT 0;

  ALTER TABLE totals ADD COLUMN cost_nanos INTEGER NOT NULL DEFAULT 0;
  -- Rises with every change of the row; what the directory has confirmed follows it.
  ALTER TABLE totals ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE totals ADD COLUMN sent_version INTEGER NOT NULL DEFAULT 0;

  -- What the alarm does beside settling requests, and when.
  CREATE TABLE due (task TEXT PRIMARY KEY, at_ms INTEGER NOT NULL);
  INSERT INTO due SELECT 'outbox', 0 FROM key;

  CREATE TABLE idempotency (
    -- SHA-256 of the client's Idempotency-Key.
    key_hash TEXT PRIMARY KEY,
    request_hash TEXT NOT NULL,
    request_id TEXT NOT NULL UNIQUE,
    expires_at_ms INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'answered', 'broken')),
    content_type TEXT
  );
  CREATE INDEX idempotency_expiry ON idempotency (expires_at_ms);
  CREATE TABLE answers (
    request_id TEXT NOT NULL,
    part INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (request_id, part)
  );
  `,
  // Slices, attempts, the journal that knows a request, its reader, and what old requests came to.
  `
  -- The highest attempt: reports and bills of any other do not count.
  ALTER TABLE requests ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
  -- The last attempt that a backend was seen to start; -1: none.
  ALTER TABLE requests ADD COLUMN started_attempt INTEGER NOT NULL DEFAULT -1;
  -- Where the highest attempt is; null: of a release that did not say.
  ALTER TABLE requests ADD COLUMN backend TEXT;
  ALTER TABLE requests ADD COLUMN num_choices INTEGER NOT NULL DEFAULT 1;
  -- Of each choice.
  ALTER TABLE requests ADD COLUMN max_tokens INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE requests ADD COLUMN context_length INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE requests ADD COLUMN slice_tokens INTEGER NOT NULL DEFAULT 0;
  -- No choice may be generated past this token yet.
  ALTER TABLE requests ADD COLUMN end_token INTEGER NOT NULL DEFAULT 0;
  -- JSON list: how many tokens of each choice are proven to have been sent to the client.
  ALTER TABLE requests ADD COLUMN delivered TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE requests ADD COLUMN include_usage INTEGER NOT NULL DEFAULT 0;
  -- Rises with every connection that takes the answer over; 1 in the next: that one has left.
  ALTER TABLE requests ADD COLUMN reader INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE requests ADD COLUMN reader_left INTEGER NOT NULL DEFAULT 0;
  -- Of a bill by the rule for lost journals: so many tokens at most were delivered and are not in it.
  ALTER TABLE requests ADD COLUMN rule_loss_tokens INTEGER NOT NULL DEFAULT 0;
  -- Since when its journal has not answered.
  ALTER TABLE requests ADD COLUMN lost_since_ms INTEGER;
  ALTER TABLE requests ADD COLUMN num_asks INTEGER NOT NULL DEFAULT 0;
  -- When the alarm asks its journal next; null: nothing is left to ask.
  ALTER TABLE requests ADD COLUMN ask_at_ms INTEGER;
  UPDATE requests SET ask_at_ms = due_at_ms WHERE state = 'open';
  DROP INDEX requests_due;
  ALTER TABLE requests DROP COLUMN due_at_ms;
  CREATE INDEX requests_ask ON requests (ask_at_ms) WHERE ask_at_ms IS NOT NULL;
  CREATE INDEX requests_open ON requests (id) WHERE state = 'open';

  ALTER TABLE totals ADD COLUMN rule_loss_tokens INTEGER NOT NULL DEFAULT 0;
  -- The part of the totals whose requests are no longer kept one by one.
  CREATE TABLE pruned (
    day TEXT NOT NULL,
    model TEXT NOT NULL,
    num_requests INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    num_forward_passes INTEGER NOT NULL,
    cost_nanos INTEGER NOT NULL,
    rule_loss_tokens INTEGER NOT NULL,
    PRIMARY KEY (day, model)
  );
  INSERT INTO due SELECT 'prune', 0 FROM key;
  `,
  // Attempts that no backend takes are raised past the last one whose journal has something to tell.
  `
  -- Where the last attempt was that a backend was seen to start.
  ALTER TABLE requests ADD COLUMN started_backend TEXT;
  UPDATE requests SET started_backend = backend WHERE started_attempt >= 0;
  `,
  // An answer is read again in the form that it was given in.
  `
  -- JSON of AnswerTerms; null: of a release that did not say.
  ALTER TABLE requests ADD COLUMN answer_terms TEXT;
  `,
];
