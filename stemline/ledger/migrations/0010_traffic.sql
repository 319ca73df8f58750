-- When the first of a paid attempt's links expires, as the provider last said; NULL: it did not say.
ALTER TABLE attempts ADD COLUMN links_expire_at $instant;

-- What a run has sent with each of its API keys, as it last said: others read here what it counts in its memory.
CREATE TABLE request_traffic (
  run_id TEXT NOT NULL REFERENCES runs (run_id),
  key_id TEXT NOT NULL,
  at $instant NOT NULL,
  sent BIGINT NOT NULL,
  throttled BIGINT NOT NULL,
  sent_last_minute BIGINT NOT NULL,
  granted_a_minute BIGINT NOT NULL,
  PRIMARY KEY (run_id, key_id)
);
