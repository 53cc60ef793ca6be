-- Long-running work of the control plane, and the servers on which it makes databases.
--
-- An operation is a row with numbered steps. Whoever carries it out holds its lease and knows its fence: every
-- claim raises the fence by one, and nothing is written under an older one. Times of leases are this
-- server's own, so that gateways need not agree on the hour.

CREATE TABLE servers (
    id              TEXT   COLLATE "C" NOT NULL PRIMARY KEY CHECK (id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    name            TEXT   COLLATE "C" NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    engine          TEXT   NOT NULL CHECK (engine IN ('postgres', 'mysql', 'sqlite')),
    revision        BIGINT NOT NULL CHECK (revision > 0),
    sealed          TEXT   CHECK (sealed LIKE 'sealed:%'),
    data_key_id     TEXT   COLLATE "C" CHECK (length(data_key_id) = 36),
    sealed_at       BIGINT NOT NULL,
    server_identity TEXT   CHECK (server_identity IS NULL OR server_identity::jsonb IS NOT NULL),
    tls             TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    CHECK ((engine = 'sqlite') = (sealed IS NULL)),
    CHECK ((sealed IS NULL) = (data_key_id IS NULL))
);

CREATE TABLE operations (
    id            TEXT   COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    kind          TEXT   NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    parent        TEXT   COLLATE "C" REFERENCES operations (id),
    tenant        TEXT   COLLATE "C" CHECK (length(tenant) = 36),
    subject       TEXT   NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
    input         TEXT   NOT NULL CHECK (input::jsonb IS NOT NULL),
    state         TEXT   NOT NULL CHECK (state IN ('held', 'pending', 'running', 'undoing', 'succeeded', 'failed', 'cancelled')),
    step          BIGINT NOT NULL DEFAULT 0 CHECK (step >= 0),
    attempts      BIGINT NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    progress      TEXT   NOT NULL DEFAULT '{}' CHECK (progress::jsonb IS NOT NULL),
    result        TEXT   CHECK (result IS NULL OR result::jsonb IS NOT NULL),
    error         TEXT   CHECK (error IS NULL OR error::jsonb IS NOT NULL),
    secret        TEXT   CHECK (secret LIKE 'sealed:%'),
    secret_key_id TEXT   COLLATE "C" CHECK (length(secret_key_id) = 36),
    frozen        BIGINT NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1)),
    cancel_asked  BIGINT NOT NULL DEFAULT 0 CHECK (cancel_asked IN (0, 1)),
    actor_kind    TEXT   NOT NULL,
    actor         TEXT   NOT NULL CHECK (length(actor) BETWEEN 1 AND 512),
    request_id    TEXT   NOT NULL,
    fence         BIGINT NOT NULL DEFAULT 0 CHECK (fence >= 0),
    holder        TEXT,
    lease_until   BIGINT NOT NULL DEFAULT 0,
    due_at        BIGINT NOT NULL DEFAULT 0,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    ended_at      BIGINT,
    CHECK ((secret IS NULL) = (secret_key_id IS NULL))
);
-- At most one operation works on a tenant at a time.
CREATE UNIQUE INDEX operations_one_per_tenant ON operations (tenant)
    WHERE tenant IS NOT NULL AND state IN ('pending', 'running', 'undoing');
CREATE INDEX operations_open ON operations (due_at) WHERE state IN ('pending', 'running', 'undoing');
CREATE INDEX operations_by_parent ON operations (parent, id);
CREATE INDEX operations_by_tenant ON operations (tenant, id);

CREATE TABLE operation_steps (
    operation  TEXT   COLLATE "C" NOT NULL REFERENCES operations (id),
    undo       BIGINT NOT NULL CHECK (undo IN (0, 1)),
    number     BIGINT NOT NULL CHECK (number >= 0),
    name       TEXT   NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    attempts   BIGINT NOT NULL CHECK (attempts > 0),
    fence      BIGINT NOT NULL,
    note       TEXT,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT,
    PRIMARY KEY (operation, undo, number)
);

-- How far the schema of a provisioned tenant's database is, as of when it was last looked at.
CREATE TABLE tenant_schemas (
    tenant     TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    server     TEXT   COLLATE "C" NOT NULL REFERENCES servers (id),
    database   TEXT   NOT NULL,
    migration  TEXT   NOT NULL,
    release    BIGINT NOT NULL CHECK (release >= 0),
    sound      BIGINT NOT NULL CHECK (sound IN (0, 1)),
    trouble    TEXT,
    checked_at BIGINT NOT NULL
);
CREATE INDEX tenant_schemas_by_server ON tenant_schemas (server);

-- `NULL::jsonb IS NOT NULL` is false, so that a connection without a known server was refused here.
ALTER TABLE connections DROP CONSTRAINT connections_server_identity_check;
ALTER TABLE connections ADD CONSTRAINT connections_server_identity_check
    CHECK (server_identity IS NULL OR server_identity::jsonb IS NOT NULL);
