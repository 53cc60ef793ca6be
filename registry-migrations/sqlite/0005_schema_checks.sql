-- How each tenant's live schema compared with its mapping in force when it was looked at last. No part of
-- a tenant's configuration: writing it bumps no generation.

CREATE TABLE schema_checks (
    tenant     TEXT    PRIMARY KEY NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    claimed_at INTEGER NOT NULL,
    version    INTEGER NOT NULL CHECK (version >= 0),
    checked_at INTEGER NOT NULL,
    found      TEXT    NOT NULL CHECK (json_valid(found))
) STRICT;
