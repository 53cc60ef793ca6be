-- Orders of bulk exports that were cancelled, for every gateway to know of them until they would have ended by
-- themselves. No part of a tenant's configuration: writing it bumps no generation.

CREATE TABLE cancelled_exports (
    tenant  TEXT   COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    mark    TEXT   COLLATE "C" NOT NULL CHECK (mark ~ '^[0-9a-f]{64}$'),
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, mark)
);
CREATE INDEX cancelled_exports_by_end ON cancelled_exports (ends_at);
