-- What operators did (append-only), the answers kept for their repeated requests, and the reserved
-- place of clinicians who belong to several hospitals.

CREATE TABLE operator_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    actor_kind TEXT    NOT NULL CHECK (actor_kind IN ('operator', 'console', 'work_order')),
    actor      TEXT    NOT NULL CHECK (length(actor) BETWEEN 1 AND 512),
    action     TEXT    NOT NULL CHECK (length(action) BETWEEN 1 AND 64),
    tenant     TEXT    CHECK (length(tenant) = 36),
    generation INTEGER,
    detail     TEXT    NOT NULL CHECK (json_valid(detail)),
    request_id TEXT    NOT NULL
) STRICT;
CREATE INDEX operator_events_by_tenant ON operator_events (tenant, id);

CREATE TRIGGER operator_events_replace BEFORE INSERT ON operator_events
WHEN EXISTS (SELECT 1 FROM operator_events WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'operator events are append-only');
END;

CREATE TRIGGER operator_events_update BEFORE UPDATE ON operator_events
BEGIN
    SELECT RAISE(ABORT, 'operator events are append-only');
END;

CREATE TRIGGER operator_events_delete BEFORE DELETE ON operator_events
BEGIN
    SELECT RAISE(ABORT, 'operator events are append-only');
END;

CREATE TABLE idempotency_keys (
    actor        TEXT    NOT NULL,
    key          TEXT    NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
    route        TEXT    NOT NULL,
    request_hash BLOB    NOT NULL,
    response     TEXT,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

-- Reserved: nothing reads it yet.
CREATE TABLE memberships (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    tenant  TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    roles   TEXT NOT NULL CHECK (json_valid(roles)),
    PRIMARY KEY (issuer, subject, tenant)
) STRICT, WITHOUT ROWID;
