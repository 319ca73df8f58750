-- Backfills: what was chosen of a manifest when each began, frozen, and what a person has said about it since.
CREATE TABLE backfills (
  name TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  made_at $instant NOT NULL,
  finished_at $instant,
  provider TEXT NOT NULL,
  recipe TEXT NOT NULL,
  config_digest TEXT NOT NULL,
  manifest_digest TEXT NOT NULL,
  code_version TEXT NOT NULL,
  facts TEXT NOT NULL,
  request TEXT NOT NULL,
  ceiling BIGINT,
  share $real NOT NULL,
  CONSTRAINT backfills_state CHECK (state IN ('open', 'paused', 'cancelled', 'finished')),
  CONSTRAINT backfills_share CHECK (share > 0 AND share <= 1)
);
CREATE TABLE backfill_tracks (
  backfill TEXT NOT NULL REFERENCES backfills (name),
  position BIGINT NOT NULL,
  slice TEXT NOT NULL,
  track_id TEXT NOT NULL,
  dated TEXT,
  priority BIGINT NOT NULL,
  duration_seconds $real,
  row_digest TEXT NOT NULL,
  track TEXT NOT NULL,
  credits BIGINT NOT NULL,
  last_attempt INTEGER,
  PRIMARY KEY (backfill, track_id)
) $clustered;
CREATE INDEX backfill_tracks_in_order ON backfill_tracks (backfill, position);
ALTER TABLE runs ADD COLUMN backfill TEXT REFERENCES backfills (name);
ALTER TABLE leases ADD COLUMN gives_way BOOLEAN;
ALTER TABLE leases ADD COLUMN wanted_until $instant;
