-- A hospital's own administrator changes its mapping: one more kind of actor. SQLite cannot change a
-- check, so the table is made anew; dropping one fires no trigger.

ALTER TABLE operator_events RENAME TO operator_events_before;
DROP INDEX operator_events_by_tenant;

CREATE TABLE operator_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    actor_kind TEXT    NOT NULL CHECK (actor_kind IN ('operator', 'console', 'work_order', 'hospital')),
    actor      TEXT    NOT NULL CHECK (length(actor) BETWEEN 1 AND 512),
    action     TEXT    NOT NULL CHECK (length(action) BETWEEN 1 AND 64),
    tenant     TEXT    CHECK (length(tenant) = 36),
    generation INTEGER,
    detail     TEXT    NOT NULL CHECK (json_valid(detail)),
    request_id TEXT    NOT NULL
) STRICT;
INSERT INTO operator_events SELECT * FROM operator_events_before;
DROP TABLE operator_events_before;
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
