-- Wrapped data keys. Kept apart from the registry and from its backups: destroying a row here is what
-- makes a hospital's connection record unreadable, in old copies of the registry too.
CREATE TABLE data_keys (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    tenant     TEXT COLLATE "C" NOT NULL CHECK (length(tenant) = 36),
    kek        TEXT COLLATE "C" NOT NULL CHECK (length(kek) BETWEEN 1 AND 32),
    wrapped    BYTEA  NOT NULL,
    created_at BIGINT  NOT NULL
);
CREATE INDEX data_keys_by_tenant ON data_keys (tenant, created_at);
