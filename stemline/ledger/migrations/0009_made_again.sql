-- What the tables have of a track that is made again, as JSON, until its new stems are published; NULL: it is not.
ALTER TABLE tracks ADD COLUMN published_as TEXT;
CREATE INDEX tracks_made_again ON tracks (provider, recipe, track_id) WHERE published_as IS NOT NULL;

-- A track has one attempt under way at most and one that is published, which only one that is made again has beside it.
DROP INDEX attempts_one_live;
CREATE UNIQUE INDEX attempts_one_live ON attempts (track_id, recipe, provider)
  WHERE state IN ('submitting', 'processing', 'ready', 'collected', 'unknown');
CREATE UNIQUE INDEX attempts_one_published ON attempts (track_id, recipe, provider) WHERE state = 'published';
