-- Orders of bulk exports that were cancelled, for every gateway to know of them until they would have ended by
-- themselves. No part of a tenant's configuration: writing it bumps no generation.

CREATE TABLE cancelled_exports (
    tenant  TEXT    NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    mark    TEXT    NOT NULL CHECK (length(mark) = 64 AND mark NOT GLOB '*[^0-9a-f]*'),
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, mark)
) STRICT;
CREATE INDEX cancelled_exports_by_end ON cancelled_exports (ends_at);
