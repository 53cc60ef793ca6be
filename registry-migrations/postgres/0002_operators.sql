-- What operators did (append-only), the answers kept for their repeated requests, and the reserved
-- place of clinicians who belong to several hospitals.

CREATE TABLE operator_events (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor_kind TEXT   NOT NULL CHECK (actor_kind IN ('operator', 'console', 'work_order')),
    actor      TEXT   NOT NULL CHECK (length(actor) BETWEEN 1 AND 512),
    action     TEXT   NOT NULL CHECK (length(action) BETWEEN 1 AND 64),
    tenant     TEXT   COLLATE "C" CHECK (length(tenant) = 36),
    generation BIGINT,
    detail     TEXT   NOT NULL CHECK (detail::jsonb IS NOT NULL),
    request_id TEXT   NOT NULL
);
CREATE INDEX operator_events_by_tenant ON operator_events (tenant, id);

CREATE FUNCTION wardgate_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'WG001';
END $$;
CREATE TRIGGER operator_events_append_only BEFORE UPDATE OR DELETE ON operator_events
    FOR EACH ROW EXECUTE FUNCTION wardgate_append_only();
CREATE TRIGGER operator_events_no_truncate BEFORE TRUNCATE ON operator_events
    EXECUTE FUNCTION wardgate_append_only();

CREATE TABLE idempotency_keys (
    actor        TEXT   COLLATE "C" NOT NULL,
    key          TEXT   COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
    route        TEXT   NOT NULL,
    request_hash BYTEA  NOT NULL,
    response     TEXT,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

-- Reserved: nothing reads it yet.
CREATE TABLE memberships (
    issuer  TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    tenant  TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    roles   TEXT NOT NULL CHECK (roles::jsonb IS NOT NULL),
    PRIMARY KEY (issuer, subject, tenant)
);
