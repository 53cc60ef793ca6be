-- The control plane. Ids are UUIDs in their hyphenated lower-case form, as text, so that both engines
-- share one set of queries; times are milliseconds since 1970 (UTC). The triggers, not the gateway,
-- count generations and write the feed of changes, so that a change made with plain SQL is counted and
-- announced like any other.

CREATE TABLE tenants (
    id                  TEXT   COLLATE "C" NOT NULL PRIMARY KEY CHECK (id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    name                TEXT   COLLATE "C" NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    display_name        TEXT   NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
    state               TEXT   NOT NULL CHECK (state IN ('draft', 'active', 'suspended', 'offboarding', 'offboarded')),
    state_reason        TEXT   CHECK (length(state_reason) BETWEEN 1 AND 64),
    ownership           TEXT   NOT NULL CHECK (ownership IN ('attached', 'provisioned')),
    placement           TEXT   NOT NULL CHECK (placement IN ('database', 'schema', 'shared')),
    not_before          BIGINT,
    generation          BIGINT NOT NULL DEFAULT 1 CHECK (generation > 0),
    connection_revision BIGINT NOT NULL DEFAULT 0 CHECK (connection_revision >= 0),
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL
);

CREATE TABLE bindings (
    issuer      TEXT COLLATE "C" NOT NULL CHECK (length(issuer) BETWEEN 1 AND 512),
    claim_value TEXT COLLATE "C" NOT NULL CHECK (length(claim_value) BETWEEN 1 AND 512),
    tenant      TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    azp         TEXT NOT NULL CHECK (azp::jsonb IS NOT NULL),
    PRIMARY KEY (issuer, claim_value)
);
CREATE INDEX bindings_by_tenant ON bindings (tenant);

CREATE TABLE connections (
    tenant          TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    record_id       TEXT   COLLATE "C" NOT NULL UNIQUE CHECK (length(record_id) = 36),
    revision        BIGINT NOT NULL CHECK (revision > 0),
    engine          TEXT   NOT NULL CHECK (engine IN ('postgres', 'mysql', 'sqlite')),
    sealed          TEXT   NOT NULL CHECK (sealed LIKE 'sealed:%'),
    data_key_id     TEXT   COLLATE "C" NOT NULL CHECK (length(data_key_id) = 36),
    sealed_at       BIGINT NOT NULL,
    server_identity TEXT   CHECK (server_identity::jsonb IS NOT NULL),
    tls             TEXT   NOT NULL
);
CREATE INDEX connections_by_data_key ON connections (data_key_id);

CREATE TABLE limits (
    tenant   TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    document TEXT NOT NULL CHECK (document::jsonb IS NOT NULL)
);

CREATE TABLE mappings (
    tenant     TEXT   COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    version    BIGINT NOT NULL CHECK (version > 0),
    document   TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    catalog    TEXT   NOT NULL,
    report     TEXT   NOT NULL,
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, version)
);

-- Which mapping was in force when. The row with the highest seq of a tenant is in force; undo_to is
-- the seq of the row that rolling back returns to.
CREATE TABLE publications (
    tenant       TEXT   COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    seq          BIGINT NOT NULL CHECK (seq > 0),
    version      BIGINT NOT NULL,
    undo_to      BIGINT CHECK (undo_to < seq),
    published_by TEXT   NOT NULL,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, seq),
    FOREIGN KEY (tenant, version) REFERENCES mappings (tenant, version) ON DELETE CASCADE
);

-- The feed of changes. Sequence numbers are drawn before commit, so a reader that remembers the highest
-- seq it saw would miss a transaction that drew a lower one and committed later. Each row therefore
-- holds its transaction's id, and a reader asks for every row whose transaction was not finished when
-- it last looked (txid >= its last txid_snapshot_xmin), skipping those it has already had.
CREATE TABLE changes (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid       BIGINT NOT NULL DEFAULT txid_current(),
    tenant     TEXT   COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    at         BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
);
CREATE INDEX changes_by_txid ON changes (txid);
CREATE INDEX changes_by_tenant ON changes (tenant, generation);

CREATE FUNCTION wardgate_announce() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify('wardgate_changes', NEW.tenant || ' ' || NEW.generation);
    RETURN NULL;
END $$;
CREATE TRIGGER changes_announce AFTER INSERT ON changes
    FOR EACH ROW EXECUTE FUNCTION wardgate_announce();

-- Tenants: the generation never falls, also when a deleted id comes back.

CREATE FUNCTION wardgate_tenant_before() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.generation := greatest(NEW.generation, 1 + coalesce((SELECT max(generation) FROM changes WHERE tenant = NEW.id), 0));
    ELSIF NEW.id <> OLD.id OR NEW.generation < OLD.generation OR NEW.connection_revision < OLD.connection_revision THEN
        RAISE EXCEPTION 'the id is fixed; generation and connection_revision never fall' USING ERRCODE = 'WG001';
    ELSE
        NEW.generation := greatest(NEW.generation, OLD.generation + 1);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tenants_before BEFORE INSERT OR UPDATE ON tenants
    FOR EACH ROW EXECUTE FUNCTION wardgate_tenant_before();

CREATE FUNCTION wardgate_tenant_after() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO changes (tenant, generation) VALUES (OLD.id, OLD.generation + 1);
    ELSE
        INSERT INTO changes (tenant, generation) VALUES (NEW.id, NEW.generation);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tenants_after AFTER INSERT OR UPDATE OR DELETE ON tenants
    FOR EACH ROW EXECUTE FUNCTION wardgate_tenant_after();

-- Whatever belongs to a tenant bumps the tenant's generation.

CREATE FUNCTION wardgate_touch_tenant() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE tenants SET generation = generation + 1 WHERE id = OLD.tenant;
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.tenant <> OLD.tenant) THEN
        UPDATE tenants SET generation = generation + 1 WHERE id = NEW.tenant;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER bindings_touch AFTER INSERT OR UPDATE OR DELETE ON bindings
    FOR EACH ROW EXECUTE FUNCTION wardgate_touch_tenant();
CREATE TRIGGER limits_touch AFTER INSERT OR UPDATE OR DELETE ON limits
    FOR EACH ROW EXECUTE FUNCTION wardgate_touch_tenant();
CREATE TRIGGER connections_deleted AFTER DELETE ON connections
    FOR EACH ROW EXECUTE FUNCTION wardgate_touch_tenant();
CREATE TRIGGER publications_touch AFTER INSERT ON publications
    FOR EACH ROW EXECUTE FUNCTION wardgate_touch_tenant();

-- Connections: a revision number is used once, also after the record was removed.

CREATE FUNCTION wardgate_connection_guard() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last BIGINT;
BEGIN
    SELECT connection_revision INTO last FROM tenants WHERE id = NEW.tenant FOR UPDATE;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.tenant <> OLD.tenant OR (NEW.revision <> OLD.revision AND NEW.revision <= last) THEN
            RAISE EXCEPTION 'a connection revision is used once' USING ERRCODE = 'WG001';
        END IF;
    ELSIF NEW.revision <= last THEN
        RAISE EXCEPTION 'a connection revision is used once' USING ERRCODE = 'WG001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER connections_guard BEFORE INSERT OR UPDATE ON connections
    FOR EACH ROW EXECUTE FUNCTION wardgate_connection_guard();

CREATE FUNCTION wardgate_connection_written() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE tenants
       SET connection_revision = greatest(connection_revision, NEW.revision), generation = generation + 1
     WHERE id = NEW.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER connections_written AFTER INSERT OR UPDATE ON connections
    FOR EACH ROW EXECUTE FUNCTION wardgate_connection_written();

-- Mappings and publications never change; they go only with their tenant. A draft is not in force and
-- bumps nothing; a publication does.

CREATE FUNCTION wardgate_immutable() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = OLD.tenant) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is immutable', TG_TABLE_NAME USING ERRCODE = 'WG001';
END $$;
CREATE TRIGGER mappings_immutable BEFORE UPDATE OR DELETE ON mappings
    FOR EACH ROW EXECUTE FUNCTION wardgate_immutable();
CREATE TRIGGER publications_immutable BEFORE UPDATE OR DELETE ON publications
    FOR EACH ROW EXECUTE FUNCTION wardgate_immutable();

-- TRUNCATE fires no row trigger: nothing would be counted or announced.

CREATE FUNCTION wardgate_no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% cannot be truncated', TG_TABLE_NAME USING ERRCODE = 'WG001';
END $$;
CREATE TRIGGER tenants_no_truncate BEFORE TRUNCATE ON tenants EXECUTE FUNCTION wardgate_no_truncate();
CREATE TRIGGER bindings_no_truncate BEFORE TRUNCATE ON bindings EXECUTE FUNCTION wardgate_no_truncate();
CREATE TRIGGER connections_no_truncate BEFORE TRUNCATE ON connections EXECUTE FUNCTION wardgate_no_truncate();
CREATE TRIGGER limits_no_truncate BEFORE TRUNCATE ON limits EXECUTE FUNCTION wardgate_no_truncate();
CREATE TRIGGER mappings_no_truncate BEFORE TRUNCATE ON mappings EXECUTE FUNCTION wardgate_no_truncate();
CREATE TRIGGER publications_no_truncate BEFORE TRUNCATE ON publications EXECUTE FUNCTION wardgate_no_truncate();
