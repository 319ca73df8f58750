-- Several runs may be about one track at once: what a run is about is its own. What was published before a run
-- began has no row here, it is counted (`runs.standing`): a night over a catalogue that is done writes next to nothing.
CREATE TABLE run_tracks (
  run_id TEXT NOT NULL REFERENCES runs (run_id),
  track_id TEXT NOT NULL,
  PRIMARY KEY (run_id, track_id)
) $clustered;
INSERT INTO run_tracks (run_id, track_id) SELECT DISTINCT run_id, track_id FROM tracks;
ALTER TABLE runs ADD COLUMN standing BIGINT NOT NULL DEFAULT 0;
DROP INDEX tracks_queue;
CREATE INDEX tracks_queue ON tracks (provider, recipe, state, priority DESC, position, track_id);
