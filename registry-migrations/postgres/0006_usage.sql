-- What each tenant used in each month (UTC), added up by every gateway about once a minute. No part of a
-- tenant's configuration: writing it bumps no generation.

CREATE TABLE usage_months (
    tenant          TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    month           TEXT COLLATE "C" NOT NULL CHECK (length(month) = 7),
    requests        BIGINT NOT NULL CHECK (requests >= 0),
    row_count       BIGINT NOT NULL CHECK (row_count >= 0),
    bytes           BIGINT NOT NULL CHECK (bytes >= 0),
    database_micros BIGINT NOT NULL CHECK (database_micros >= 0),
    PRIMARY KEY (tenant, month)
);

-- How far each run of a gateway has been added up: an addition whose outcome it never heard is tried again
-- under its number and counts once.
CREATE TABLE usage_runs (
    run      TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    added    BIGINT NOT NULL CHECK (added > 0),
    added_at BIGINT NOT NULL
);
