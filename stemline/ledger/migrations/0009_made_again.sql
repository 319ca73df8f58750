-- What the tables have of a track that is made again, as JSON, until its new stems are published; NULL: it is not.
ALTER TABLE tracks ADD COLUMN published_as TEXT;
CREATE INDEX tracks_made_again ON tracks (provider, recipe, track_id) WHERE published_as IS NOT NULL;

-- The published attempt whose stems those of this one are to replace; NULL: none, or it has replaced them.
ALTER TABLE attempts ADD COLUMN replaces TEXT REFERENCES attempts (token);

-- At most one attempt of a track may be under way or have succeeded, and one beside it that says which it replaces.
DROP INDEX attempts_one_live;
CREATE UNIQUE INDEX attempts_one_live ON attempts (track_id, recipe, provider)
  WHERE state IN ('submitting', 'processing', 'ready', 'collected', 'published', 'unknown') AND replaces IS NULL;
CREATE UNIQUE INDEX attempts_one_replacing ON attempts (track_id, recipe, provider)
  WHERE state IN ('submitting', 'processing', 'ready', 'collected', 'published', 'unknown') AND replaces IS NOT NULL;
