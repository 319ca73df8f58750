-- What was forgotten, by digests alone: rows of later manifests that are about it are rejected.
CREATE TABLE tombstones (
  tombstone_id TEXT PRIMARY KEY,
  forgotten_at $instant NOT NULL,
  content TEXT NOT NULL
);
