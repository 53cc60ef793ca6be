-- What a tenant's users are offered: features switched off, or on for a share of the users. Writing it bumps
-- the generation like any other change of the tenant's row.

ALTER TABLE tenants ADD COLUMN flags TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(flags));

-- Orders that wait for a second person. The row is the request and what became of it; what was ordered is
-- begun in the transaction that approves it.

CREATE TABLE approvals (
    id           TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    kind         TEXT   NOT NULL CHECK (kind IN ('tenant.offboard', 'mapping.publish')),
    tenant       TEXT   NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    input        TEXT   NOT NULL CHECK (json_valid(input)),
    state        TEXT   NOT NULL CHECK (state IN ('waiting', 'approved', 'refused', 'expired')),
    actor_kind   TEXT   NOT NULL CHECK (actor_kind IN ('operator', 'console')),
    actor        TEXT   NOT NULL CHECK (length(actor) BETWEEN 1 AND 512),
    request_id   TEXT   NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL CHECK (expires_at > created_at),
    decider_kind TEXT   CHECK (decider_kind IN ('operator', 'console')),
    decider      TEXT   CHECK (length(decider) BETWEEN 1 AND 512),
    decided_at   INTEGER,
    CHECK ((state IN ('approved', 'refused')) = (decider IS NOT NULL AND decider_kind IS NOT NULL AND decided_at IS NOT NULL)),
    CHECK (state <> 'approved' OR decider <> actor OR decider_kind <> actor_kind)
) STRICT;
CREATE UNIQUE INDEX approvals_waiting ON approvals (tenant, kind) WHERE state = 'waiting';
CREATE INDEX approvals_by_tenant ON approvals (tenant);
