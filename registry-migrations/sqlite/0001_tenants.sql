-- The control plane. Ids are UUIDs in their hyphenated lower-case form; times are milliseconds since
-- 1970 (UTC). The triggers, not the gateway, count generations and write the feed of changes, so that
-- a change made with plain SQL is counted and announced like any other.

CREATE TABLE tenants (
    id                  TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    name                TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 63),
    display_name        TEXT    NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
    state               TEXT    NOT NULL CHECK (state IN ('draft', 'active', 'suspended', 'offboarding', 'offboarded')),
    state_reason        TEXT    CHECK (length(state_reason) BETWEEN 1 AND 64),
    ownership           TEXT    NOT NULL CHECK (ownership IN ('attached', 'provisioned')),
    placement           TEXT    NOT NULL CHECK (placement IN ('database', 'schema', 'shared')),
    not_before          INTEGER,
    generation          INTEGER NOT NULL DEFAULT 1 CHECK (generation > 0),
    connection_revision INTEGER NOT NULL DEFAULT 0 CHECK (connection_revision >= 0),
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL
) STRICT;

CREATE TABLE bindings (
    issuer      TEXT NOT NULL CHECK (length(issuer) BETWEEN 1 AND 512),
    claim_value TEXT NOT NULL CHECK (length(claim_value) BETWEEN 1 AND 512),
    tenant      TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    azp         TEXT NOT NULL CHECK (json_valid(azp)),
    PRIMARY KEY (issuer, claim_value)
) STRICT, WITHOUT ROWID;
CREATE INDEX bindings_by_tenant ON bindings (tenant);

CREATE TABLE connections (
    tenant          TEXT    NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    record_id       TEXT    NOT NULL UNIQUE CHECK (length(record_id) = 36),
    revision        INTEGER NOT NULL CHECK (revision > 0),
    engine          TEXT    NOT NULL CHECK (engine IN ('postgres', 'mysql', 'sqlite')),
    sealed          TEXT    NOT NULL CHECK (sealed LIKE 'sealed:%'),
    data_key_id     TEXT    NOT NULL CHECK (length(data_key_id) = 36),
    sealed_at       INTEGER NOT NULL,
    server_identity TEXT    CHECK (json_valid(server_identity)),
    tls             TEXT    NOT NULL
) STRICT;
CREATE INDEX connections_by_data_key ON connections (data_key_id);

CREATE TABLE limits (
    tenant   TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    document TEXT NOT NULL CHECK (json_valid(document))
) STRICT;

CREATE TABLE mappings (
    tenant     TEXT    NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL CHECK (version > 0),
    document   TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    catalog    TEXT    NOT NULL,
    report     TEXT    NOT NULL,
    created_by TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, version)
) STRICT;

-- Which mapping was in force when. The row with the highest seq of a tenant is in force; undo_to is
-- the seq of the row that rolling back returns to.
CREATE TABLE publications (
    tenant       TEXT    NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    seq          INTEGER NOT NULL CHECK (seq > 0),
    version      INTEGER NOT NULL,
    undo_to      INTEGER CHECK (undo_to < seq),
    published_by TEXT    NOT NULL,
    published_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, seq),
    FOREIGN KEY (tenant, version) REFERENCES mappings (tenant, version) ON DELETE CASCADE
) STRICT;

-- The feed of changes. SQLite has one writer at a time and AUTOINCREMENT never reuses a number, so the
-- order of seq is the order of commits.
CREATE TABLE changes (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    at         INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
) STRICT;
CREATE INDEX changes_by_tenant ON changes (tenant, generation);

-- Tenants: the generation never falls, also when a deleted id comes back.

CREATE TRIGGER tenants_replace BEFORE INSERT ON tenants
WHEN EXISTS (SELECT 1 FROM tenants WHERE id = NEW.id OR name = NEW.name)
BEGIN
    SELECT RAISE(ABORT, 'a tenant of that id or name exists');
END;

CREATE TRIGGER tenants_inserted AFTER INSERT ON tenants
BEGIN
    UPDATE tenants
       SET generation = 1 + (SELECT max(generation) FROM changes WHERE tenant = NEW.id)
     WHERE id = NEW.id AND EXISTS (SELECT 1 FROM changes WHERE tenant = NEW.id);
    INSERT INTO changes (tenant, generation)
    SELECT NEW.id, NEW.generation WHERE NOT EXISTS (SELECT 1 FROM changes WHERE tenant = NEW.id);
END;

CREATE TRIGGER tenants_guard BEFORE UPDATE ON tenants
WHEN NEW.id <> OLD.id OR NEW.generation < OLD.generation OR NEW.connection_revision < OLD.connection_revision
BEGIN
    SELECT RAISE(ABORT, 'the id is fixed; generation and connection_revision never fall');
END;

CREATE TRIGGER tenants_bump AFTER UPDATE ON tenants
WHEN NEW.generation = OLD.generation
BEGIN
    UPDATE tenants SET generation = OLD.generation + 1 WHERE id = NEW.id;
END;

CREATE TRIGGER tenants_feed AFTER UPDATE ON tenants
WHEN NEW.generation <> OLD.generation
BEGIN
    INSERT INTO changes (tenant, generation) VALUES (NEW.id, NEW.generation);
END;

-- Deletes the children also for a writer that has foreign keys switched off.
CREATE TRIGGER tenants_deleted AFTER DELETE ON tenants
BEGIN
    INSERT INTO changes (tenant, generation) VALUES (OLD.id, OLD.generation + 1);
    DELETE FROM bindings WHERE tenant = OLD.id;
    DELETE FROM connections WHERE tenant = OLD.id;
    DELETE FROM limits WHERE tenant = OLD.id;
    DELETE FROM publications WHERE tenant = OLD.id;
    DELETE FROM mappings WHERE tenant = OLD.id;
END;

-- Bindings. INSERT OR REPLACE fires no delete trigger, so the row it would replace is seen beforehand.

CREATE TRIGGER bindings_replace BEFORE INSERT ON bindings
BEGIN
    UPDATE tenants SET generation = generation + 1
     WHERE id IN (SELECT tenant FROM bindings
                   WHERE issuer = NEW.issuer AND claim_value = NEW.claim_value AND tenant <> NEW.tenant);
END;

CREATE TRIGGER bindings_inserted AFTER INSERT ON bindings
BEGIN
    UPDATE tenants SET generation = generation + 1 WHERE id = NEW.tenant;
END;

CREATE TRIGGER bindings_updated AFTER UPDATE ON bindings
BEGIN
    UPDATE tenants SET generation = generation + 1 WHERE id IN (OLD.tenant, NEW.tenant);
END;

CREATE TRIGGER bindings_deleted AFTER DELETE ON bindings
BEGIN
    UPDATE tenants SET generation = generation + 1 WHERE id = OLD.tenant;
END;

-- Connections: a revision number is used once, also after the record was removed. Writing one bumps the
-- generation through the tenant's row; a reseal or a removal bumps it directly.

CREATE TRIGGER connections_insert_guard BEFORE INSERT ON connections
WHEN NEW.revision <= coalesce((SELECT connection_revision FROM tenants WHERE id = NEW.tenant), 0)
BEGIN
    SELECT RAISE(ABORT, 'a connection revision is used once');
END;

CREATE TRIGGER connections_update_guard BEFORE UPDATE ON connections
WHEN NEW.tenant <> OLD.tenant
  OR (NEW.revision <> OLD.revision
      AND NEW.revision <= coalesce((SELECT connection_revision FROM tenants WHERE id = NEW.tenant), 0))
BEGIN
    SELECT RAISE(ABORT, 'a connection revision is used once');
END;

CREATE TRIGGER connections_inserted AFTER INSERT ON connections
BEGIN
    UPDATE tenants SET connection_revision = NEW.revision, generation = generation + 1 WHERE id = NEW.tenant;
END;

CREATE TRIGGER connections_updated AFTER UPDATE ON connections
BEGIN
    UPDATE tenants
       SET connection_revision = max(connection_revision, NEW.revision), generation = generation + 1
     WHERE id = NEW.tenant;
END;

CREATE TRIGGER connections_deleted AFTER DELETE ON connections
BEGIN
    UPDATE tenants SET generation = generation + 1 WHERE id = OLD.tenant;
END;

-- Limits.

CREATE TRIGGER limits_inserted AFTER INSERT ON limits
BEGIN
    UPDATE tenants SET generation = generation + 1 WHERE id = NEW.tenant;
END;

CREATE TRIGGER limits_updated AFTER UPDATE ON limits
BEGIN
    UPDATE tenants SET generation = generation + 1 WHERE id IN (OLD.tenant, NEW.tenant);
END;

CREATE TRIGGER limits_deleted AFTER DELETE ON limits
BEGIN
    UPDATE tenants SET generation = generation + 1 WHERE id = OLD.tenant;
END;

-- Mappings and publications never change; they go only with their tenant. A draft is not in force and
-- bumps nothing; a publication does.

CREATE TRIGGER mappings_replace BEFORE INSERT ON mappings
WHEN EXISTS (SELECT 1 FROM mappings WHERE tenant = NEW.tenant AND version = NEW.version)
BEGIN
    SELECT RAISE(ABORT, 'mapping versions are immutable');
END;

CREATE TRIGGER mappings_update BEFORE UPDATE ON mappings
BEGIN
    SELECT RAISE(ABORT, 'mapping versions are immutable');
END;

CREATE TRIGGER mappings_delete BEFORE DELETE ON mappings
WHEN EXISTS (SELECT 1 FROM tenants WHERE id = OLD.tenant)
BEGIN
    SELECT RAISE(ABORT, 'mapping versions are immutable');
END;

CREATE TRIGGER publications_replace BEFORE INSERT ON publications
WHEN EXISTS (SELECT 1 FROM publications WHERE tenant = NEW.tenant AND seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'publications are append-only');
END;

CREATE TRIGGER publications_update BEFORE UPDATE ON publications
BEGIN
    SELECT RAISE(ABORT, 'publications are append-only');
END;

CREATE TRIGGER publications_delete BEFORE DELETE ON publications
WHEN EXISTS (SELECT 1 FROM tenants WHERE id = OLD.tenant)
BEGIN
    SELECT RAISE(ABORT, 'publications are append-only');
END;

CREATE TRIGGER publications_inserted AFTER INSERT ON publications
BEGIN
    UPDATE tenants SET generation = generation + 1 WHERE id = NEW.tenant;
END;
