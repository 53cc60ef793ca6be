-- Long-running work of the control plane, and the servers on which it makes databases.
--
-- An operation is a row with numbered steps. Whoever carries it out holds its lease and knows its fence: every
-- claim raises the fence by one, and nothing is written under an older one. Times are the
-- gateway's own: all gateways over one SQLite registry share its machine.

CREATE TABLE servers (
    id              TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    name            TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 63),
    engine          TEXT    NOT NULL CHECK (engine IN ('postgres', 'mysql', 'sqlite')),
    revision        INTEGER NOT NULL CHECK (revision > 0),
    sealed          TEXT    CHECK (sealed LIKE 'sealed:%'),
    data_key_id     TEXT    CHECK (length(data_key_id) = 36),
    sealed_at       INTEGER NOT NULL,
    server_identity TEXT    CHECK (json_valid(server_identity)),
    tls             TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    CHECK ((engine = 'sqlite') = (sealed IS NULL)),
    CHECK ((sealed IS NULL) = (data_key_id IS NULL))
) STRICT;

CREATE TABLE operations (
    id            TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    kind          TEXT    NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    parent        TEXT    REFERENCES operations (id),
    tenant        TEXT    CHECK (length(tenant) = 36),
    subject       TEXT    NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
    input         TEXT    NOT NULL CHECK (json_valid(input)),
    state         TEXT    NOT NULL CHECK (state IN ('held', 'pending', 'running', 'undoing', 'succeeded', 'failed', 'cancelled')),
    step          INTEGER NOT NULL DEFAULT 0 CHECK (step >= 0),
    attempts      INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    progress      TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(progress)),
    result        TEXT    CHECK (json_valid(result)),
    error         TEXT    CHECK (json_valid(error)),
    secret        TEXT    CHECK (secret LIKE 'sealed:%'),
    secret_key_id TEXT    CHECK (length(secret_key_id) = 36),
    frozen        INTEGER NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1)),
    cancel_asked  INTEGER NOT NULL DEFAULT 0 CHECK (cancel_asked IN (0, 1)),
    actor_kind    TEXT    NOT NULL,
    actor         TEXT    NOT NULL CHECK (length(actor) BETWEEN 1 AND 512),
    request_id    TEXT    NOT NULL,
    fence         INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
    holder        TEXT,
    lease_until   INTEGER NOT NULL DEFAULT 0,
    due_at        INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    CHECK ((secret IS NULL) = (secret_key_id IS NULL))
) STRICT;
-- At most one operation works on a tenant at a time.
CREATE UNIQUE INDEX operations_one_per_tenant ON operations (tenant)
    WHERE tenant IS NOT NULL AND state IN ('pending', 'running', 'undoing');
CREATE INDEX operations_open ON operations (due_at) WHERE state IN ('pending', 'running', 'undoing');
CREATE INDEX operations_by_parent ON operations (parent, id);
CREATE INDEX operations_by_tenant ON operations (tenant, id);

CREATE TABLE operation_steps (
    operation  TEXT    NOT NULL REFERENCES operations (id),
    undo       INTEGER NOT NULL CHECK (undo IN (0, 1)),
    number     INTEGER NOT NULL CHECK (number >= 0),
    name       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    attempts   INTEGER NOT NULL CHECK (attempts > 0),
    fence      INTEGER NOT NULL,
    note       TEXT,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    PRIMARY KEY (operation, undo, number)
) STRICT;

-- How far the schema of a provisioned tenant's database is, as of when it was last looked at.
CREATE TABLE tenant_schemas (
    tenant     TEXT    NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    server     TEXT    NOT NULL REFERENCES servers (id),
    database   TEXT    NOT NULL,
    migration  TEXT    NOT NULL,
    release    INTEGER NOT NULL CHECK (release >= 0),
    sound      INTEGER NOT NULL CHECK (sound IN (0, 1)),
    trouble    TEXT,
    checked_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tenant_schemas_by_server ON tenant_schemas (server);
