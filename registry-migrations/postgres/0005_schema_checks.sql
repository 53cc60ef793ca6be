-- How each tenant's live schema compared with its mapping in force when it was looked at last. No part of
-- a tenant's configuration: writing it bumps no generation.

CREATE TABLE schema_checks (
    tenant     TEXT   COLLATE "C" PRIMARY KEY NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    claimed_at BIGINT NOT NULL,
    version    BIGINT NOT NULL CHECK (version >= 0),
    checked_at BIGINT NOT NULL,
    found      TEXT   NOT NULL
);
