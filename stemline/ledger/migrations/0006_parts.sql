-- The parts of the tables that this ledger has written and that no snapshot of their dataset lists yet, each as it was
-- when it was written: so a snapshot, and whoever holds the dataset against it, need not read them again.
CREATE TABLE parts (
  dataset_id TEXT NOT NULL,
  part_key TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  row_count BIGINT NOT NULL,
  PRIMARY KEY (dataset_id, part_key)
) $clustered;

-- The name of the part that has a batch's rows by now; NULL: that of the batch.
ALTER TABLE batches ADD COLUMN merged_into TEXT;
CREATE INDEX batches_by_merged ON batches (merged_into) WHERE merged_into IS NOT NULL;
