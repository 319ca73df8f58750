-- Every table of the first version. $serial, $instant and $real are each database's own types.

CREATE TABLE migrations (
  name TEXT PRIMARY KEY,
  applied_at $instant NOT NULL
);

CREATE TABLE runs (
  run_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  provider TEXT NOT NULL,
  recipe TEXT NOT NULL,
  config_digest TEXT NOT NULL,
  key_id TEXT,
  started_at $instant NOT NULL,
  finished_at $instant,
  exit_code INTEGER,
  totals TEXT
);
CREATE INDEX runs_by_name ON runs (name, started_at);

-- A track is processed once per (track, recipe, provider).
CREATE TABLE tracks (
  track_id TEXT NOT NULL,
  recipe TEXT NOT NULL,
  provider TEXT NOT NULL,
  location TEXT NOT NULL,
  position BIGINT NOT NULL,
  priority BIGINT NOT NULL,
  duration_seconds $real,
  size_bytes BIGINT,
  credits BIGINT,
  columns TEXT NOT NULL,
  state TEXT NOT NULL,
  code TEXT NOT NULL,
  sentence TEXT NOT NULL,
  is_retryable BOOLEAN NOT NULL,
  failures INTEGER NOT NULL,
  run_id TEXT NOT NULL REFERENCES runs (run_id),
  updated_at $instant NOT NULL,
  PRIMARY KEY (track_id, recipe, provider),
  CONSTRAINT tracks_state CHECK (state IN (
    'planned', 'submitting', 'processing', 'ready', 'collected', 'published',
    'rejected', 'held', 'failed', 'unknown', 'quarantined', 'expired'))
);
CREATE INDEX tracks_queue ON tracks (run_id, state, priority DESC, position, track_id);

CREATE TABLE batches (
  batch_id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL REFERENCES runs (run_id),
  members INTEGER NOT NULL,
  opened_at $instant NOT NULL,
  published_at $instant
);

CREATE TABLE attempts (
  token TEXT PRIMARY KEY,
  track_id TEXT NOT NULL,
  recipe TEXT NOT NULL,
  provider TEXT NOT NULL,
  number INTEGER NOT NULL,
  run_id TEXT NOT NULL REFERENCES runs (run_id),
  key_id TEXT,
  state TEXT NOT NULL,
  code TEXT NOT NULL,
  sentence TEXT NOT NULL,
  credits_reserved BIGINT NOT NULL,
  credits_charged BIGINT,
  is_disputed BOOLEAN NOT NULL,
  reserved_at $instant NOT NULL,
  sent_at $instant,
  job_id TEXT,
  estimated_seconds $real,
  source_sha256 TEXT,
  request TEXT,
  ready_at $instant,
  job TEXT,
  result TEXT,
  batch_id TEXT REFERENCES batches (batch_id),
  updated_at $instant NOT NULL,
  FOREIGN KEY (track_id, recipe, provider) REFERENCES tracks (track_id, recipe, provider),
  CONSTRAINT attempts_number UNIQUE (track_id, recipe, provider, number),
  CONSTRAINT attempts_one_per_job UNIQUE (provider, job_id),
  CONSTRAINT attempts_state CHECK (state IN (
    'submitting', 'processing', 'ready', 'collected', 'published',
    'released', 'failed', 'unknown', 'quarantined', 'expired')),
  CONSTRAINT attempts_sent_before_job CHECK (job_id IS NULL OR sent_at IS NOT NULL),
  CONSTRAINT attempts_job CHECK (
    job_id IS NOT NULL OR state NOT IN ('processing', 'ready', 'collected', 'published')),
  CONSTRAINT attempts_charge CHECK (
    credits_charged IS NOT NULL OR state NOT IN ('ready', 'collected', 'published', 'quarantined', 'expired')),
  CONSTRAINT attempts_result CHECK (result IS NOT NULL OR state NOT IN ('collected', 'published'))
);
-- At most one attempt of a track may be under way or have succeeded.
CREATE UNIQUE INDEX attempts_one_live ON attempts (track_id, recipe, provider)
  WHERE state IN ('submitting', 'processing', 'ready', 'collected', 'published', 'unknown');
CREATE INDEX attempts_by_state ON attempts (provider, state, reserved_at);
CREATE INDEX attempts_by_batch ON attempts (batch_id);
CREATE INDEX attempts_disputed ON attempts (provider, run_id) WHERE is_disputed;

-- Append-only. An attempt is reserved once and charged once.
CREATE TABLE credit_entries (
  entry_id $serial,
  at $instant NOT NULL,
  token TEXT NOT NULL REFERENCES attempts (token),
  run_id TEXT NOT NULL,
  provider TEXT NOT NULL,
  kind TEXT NOT NULL,
  amount BIGINT NOT NULL,
  day TEXT NOT NULL,
  month TEXT NOT NULL,
  CONSTRAINT credit_entries_once UNIQUE (token, kind),
  CONSTRAINT credit_entries_kind CHECK (
    kind = 'adjust' OR (kind IN ('reserve', 'charge') AND amount >= 0) OR (kind = 'release' AND amount <= 0))
);
CREATE INDEX credit_entries_charges ON credit_entries (provider, kind, at);

-- Sums of the entries per window (run:ID, day:DATE, month:MONTH, all), kept in the same transaction.
CREATE TABLE credit_totals (
  provider TEXT NOT NULL,
  period TEXT NOT NULL,
  reserved BIGINT NOT NULL,
  charged BIGINT NOT NULL,
  PRIMARY KEY (provider, period),
  CONSTRAINT credit_totals_signs CHECK (reserved >= 0 AND charged >= 0)
);

CREATE TABLE events (
  event_id $serial,
  at $instant NOT NULL,
  run_id TEXT,
  track_id TEXT,
  token TEXT,
  verb TEXT NOT NULL,
  from_state TEXT,
  to_state TEXT,
  detail TEXT
);

CREATE TABLE rejects (
  run_id TEXT NOT NULL REFERENCES runs (run_id),
  row_number BIGINT NOT NULL,
  track_id TEXT,
  location TEXT,
  code TEXT NOT NULL,
  sentence TEXT NOT NULL,
  PRIMARY KEY (run_id, row_number)
);

-- What webhooks said, once each, in the order of its arrival. A job may be one we do not know (yet).
CREATE TABLE inbox (
  number $serial,
  provider TEXT NOT NULL,
  job_id TEXT NOT NULL,
  phase TEXT NOT NULL,
  occurred_at $instant NOT NULL,
  received_at $instant NOT NULL,
  digest TEXT NOT NULL,
  job TEXT,
  CONSTRAINT inbox_once UNIQUE (provider, job_id, phase)
);

CREATE TABLE leases (
  key_id TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  fence BIGINT NOT NULL,
  expires_at $instant NOT NULL
);
