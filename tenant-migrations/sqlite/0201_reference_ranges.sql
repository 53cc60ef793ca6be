-- Expand only: programs and mappings of release 1 go on working.
ALTER TABLE observations ADD COLUMN range_low NUMERIC;
ALTER TABLE observations ADD COLUMN range_high NUMERIC;
