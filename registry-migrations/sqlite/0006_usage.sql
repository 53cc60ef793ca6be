-- What each tenant used in each month (UTC), added up by every gateway about once a minute. No part of a
-- tenant's configuration: writing it bumps no generation.

CREATE TABLE usage_months (
    tenant          TEXT    NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    month           TEXT    NOT NULL CHECK (length(month) = 7),
    requests        INTEGER NOT NULL CHECK (requests >= 0),
    row_count       INTEGER NOT NULL CHECK (row_count >= 0),
    bytes           INTEGER NOT NULL CHECK (bytes >= 0),
    database_micros INTEGER NOT NULL CHECK (database_micros >= 0),
    PRIMARY KEY (tenant, month)
) STRICT;

-- How far each run of a gateway has been added up: an addition whose outcome it never heard is tried again
-- under its number and counts once.
CREATE TABLE usage_runs (
    run      TEXT    PRIMARY KEY NOT NULL,
    added    INTEGER NOT NULL CHECK (added > 0),
    added_at INTEGER NOT NULL
) STRICT;
