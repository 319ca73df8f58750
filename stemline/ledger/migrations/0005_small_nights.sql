-- What was charged, by the UTC day, hour and minute in which it was booked, kept in the same transaction as the
-- charge: what came after any instant is then a sum over few rows, however many charges there are.
CREATE TABLE charge_totals (
  provider TEXT NOT NULL,
  span TEXT NOT NULL,
  starts TEXT NOT NULL,
  charged BIGINT NOT NULL,
  PRIMARY KEY (provider, span, starts),
  CONSTRAINT charge_totals_span CHECK (span IN ('day', 'hour', 'minute'))
) $clustered;
INSERT INTO charge_totals (provider, span, starts, charged)
  SELECT provider, 'minute', $minute, SUM(amount) FROM credit_entries
  WHERE kind = 'charge' AND amount <> 0 GROUP BY provider, $minute;
INSERT INTO charge_totals (provider, span, starts, charged)
  SELECT provider, 'hour', SUBSTR(starts, 1, 13), SUM(charged) FROM charge_totals
  WHERE span = 'minute' GROUP BY provider, SUBSTR(starts, 1, 13);
INSERT INTO charge_totals (provider, span, starts, charged)
  SELECT provider, 'day', SUBSTR(starts, 1, 10), SUM(charged) FROM charge_totals
  WHERE span = 'hour' GROUP BY provider, SUBSTR(starts, 1, 10);
-- Of earlier runs, the rows of the manifest that they left as these stood are counted (by state and code, as JSON),
-- and no longer kept one by one.
ALTER TABLE runs ADD COLUMN left_as_they_stood TEXT;
