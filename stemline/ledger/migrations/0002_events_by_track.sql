-- What happened to one track is asked for by people, and by `resolve`.
CREATE INDEX events_by_track ON events (track_id);
