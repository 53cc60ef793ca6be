-- Expand only: programs and mappings of release 1 go on working.
ALTER TABLE observations ADD COLUMN range_low decimal(38,12), ADD COLUMN range_high decimal(38,12);
