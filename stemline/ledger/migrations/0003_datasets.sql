-- Who this ledger is: one row, made when it is first asked for.
CREATE TABLE identity (
  number INTEGER PRIMARY KEY,
  ledger_id TEXT NOT NULL,
  made_at $instant NOT NULL,
  CONSTRAINT identity_is_one CHECK (number = 1)
);

-- The datasets that were written with a provider and recipe. unnamed says whether what was collected before datasets
-- had names lies in this one (here), in another (elsewhere), or is nothing (none).
CREATE TABLE datasets (
  provider TEXT NOT NULL,
  recipe TEXT NOT NULL,
  dataset_id TEXT NOT NULL,
  url TEXT NOT NULL,
  unnamed TEXT NOT NULL,
  tracks BIGINT NOT NULL,
  last_batch TEXT,
  adopted TEXT NOT NULL,
  is_adopting BOOLEAN NOT NULL,
  made_at $instant NOT NULL,
  PRIMARY KEY (provider, recipe, dataset_id),
  CONSTRAINT datasets_unnamed CHECK (unnamed IN ('none', 'here', 'elsewhere'))
);

-- Where an attempt's stems were put; NULL: before datasets had names.
ALTER TABLE attempts ADD COLUMN dataset_id TEXT;
