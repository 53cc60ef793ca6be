-- Dates and times are UTC, `YYYY-MM-DD HH:MM:SS.SSS`; ids are hyphenated lower-case UUIDs.

-- Whose database this is. One row, written when the database is provisioned and compared before any
-- migration or destruction.
CREATE TABLE wardgate_identity (
    only_row    INTEGER     PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
    tenant_id   TEXT        NOT NULL,
    created_at  DATETIME    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);

CREATE TABLE practitioners (
    id           TEXT         NOT NULL PRIMARY KEY,
    family       TEXT         NOT NULL,
    given        TEXT,
    prefix       TEXT,
    licence      TEXT         UNIQUE,
    active       INTEGER      NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    version      INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at   DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE INDEX practitioners_family ON practitioners (family);
CREATE INDEX practitioners_updated ON practitioners (updated_at, id);

CREATE TABLE patients (
    id           TEXT         NOT NULL PRIMARY KEY,
    family       TEXT,
    given        TEXT,
    birth_date   DATE,
    gender       TEXT         NOT NULL DEFAULT 'unknown'
                 CHECK (gender IN ('male', 'female', 'other', 'unknown')),
    deceased_at  DATETIME,
    active       INTEGER      NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    version      INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at   DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE INDEX patients_family ON patients (family, given);
CREATE INDEX patients_birth_date ON patients (birth_date, id);
CREATE INDEX patients_updated ON patients (updated_at, id);

CREATE TABLE patient_identifiers (
    patient_id   TEXT         NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    position     INTEGER      NOT NULL,
    use_code     TEXT         CHECK (use_code IN ('usual', 'official', 'temp', 'secondary', 'old')),
    system       TEXT         NOT NULL,
    value        TEXT         NOT NULL,
    PRIMARY KEY (patient_id, position),
    UNIQUE (system, value)
);
CREATE INDEX patient_identifiers_value ON patient_identifiers (value);

CREATE TABLE patient_contacts (
    patient_id   TEXT         NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    position     INTEGER      NOT NULL,
    system       TEXT         NOT NULL
                 CHECK (system IN ('phone', 'fax', 'email', 'pager', 'url', 'sms', 'other')),
    use_code     TEXT         CHECK (use_code IN ('home', 'work', 'temp', 'old', 'mobile')),
    value        TEXT         NOT NULL,
    PRIMARY KEY (patient_id, position)
);
CREATE INDEX patient_contacts_value ON patient_contacts (value);

CREATE TABLE encounters (
    id               TEXT         NOT NULL PRIMARY KEY,
    patient_id       TEXT         NOT NULL REFERENCES patients (id),
    practitioner_id  TEXT         REFERENCES practitioners (id),
    status           TEXT         NOT NULL
                     CHECK (status IN ('planned', 'arrived', 'triaged', 'in-progress', 'onleave',
                                       'finished', 'cancelled', 'entered-in-error', 'unknown')),
    class_code       TEXT         NOT NULL,
    started_at       DATETIME,
    ended_at         DATETIME,
    reason           TEXT,
    version          INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    CHECK (ended_at IS NULL OR started_at IS NULL OR ended_at >= started_at)
);
CREATE INDEX encounters_patient ON encounters (patient_id, started_at);
CREATE INDEX encounters_practitioner ON encounters (practitioner_id);
CREATE INDEX encounters_started ON encounters (started_at, id);
CREATE INDEX encounters_updated ON encounters (updated_at, id);

CREATE TABLE observations (
    id               TEXT          NOT NULL PRIMARY KEY,
    patient_id       TEXT          NOT NULL REFERENCES patients (id),
    encounter_id     TEXT          REFERENCES encounters (id),
    practitioner_id  TEXT          REFERENCES practitioners (id),
    status           TEXT          NOT NULL
                     CHECK (status IN ('registered', 'preliminary', 'final', 'amended', 'corrected',
                                       'cancelled', 'entered-in-error', 'unknown')),
    category         TEXT,
    code_system      TEXT          NOT NULL,
    code             TEXT          NOT NULL,
    code_display     TEXT,
    value_number     NUMERIC,
    value_unit       TEXT,
    value_code       TEXT,
    value_text       TEXT,
    effective_at     DATETIME,
    issued_at        DATETIME,
    version          INTEGER       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       DATETIME      NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    CHECK ((value_number IS NOT NULL) + (value_code IS NOT NULL)
           + (value_text IS NOT NULL) <= 1)
);
CREATE INDEX observations_patient ON observations (patient_id, code, effective_at);
CREATE INDEX observations_encounter ON observations (encounter_id);
CREATE INDEX observations_practitioner ON observations (practitioner_id);
CREATE INDEX observations_code ON observations (code, effective_at);
CREATE INDEX observations_updated ON observations (updated_at, id);
