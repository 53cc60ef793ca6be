-- Expand only: programs and mappings of release 1 go on working.
ALTER TABLE observations ADD COLUMN range_low numeric, ADD COLUMN range_high numeric;
