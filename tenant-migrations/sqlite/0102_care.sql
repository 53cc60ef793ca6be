CREATE TABLE organisations (
    id           TEXT         NOT NULL PRIMARY KEY,
    name         TEXT         NOT NULL,
    code         TEXT         UNIQUE,
    part_of      TEXT         REFERENCES organisations (id),
    phone        TEXT,
    city         TEXT,
    active       INTEGER      NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    version      INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at   DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE INDEX organisations_name ON organisations (name);
CREATE INDEX organisations_part_of ON organisations (part_of);
CREATE INDEX organisations_updated ON organisations (updated_at, id);

CREATE TABLE conditions (
    id               TEXT         NOT NULL PRIMARY KEY,
    patient_id       TEXT         NOT NULL REFERENCES patients (id),
    encounter_id     TEXT         REFERENCES encounters (id),
    practitioner_id  TEXT         REFERENCES practitioners (id),
    clinical_status  TEXT         NOT NULL DEFAULT 'active'
                     CHECK (clinical_status IN ('active', 'recurrence', 'relapse', 'inactive', 'remission', 'resolved')),
    code_system      TEXT         NOT NULL,
    code             TEXT         NOT NULL,
    code_display     TEXT,
    onset_at         DATETIME,
    recorded_at      DATETIME,
    note             TEXT,
    version          INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE INDEX conditions_patient ON conditions (patient_id, code);
CREATE INDEX conditions_encounter ON conditions (encounter_id);
CREATE INDEX conditions_practitioner ON conditions (practitioner_id);
CREATE INDEX conditions_code ON conditions (code);
CREATE INDEX conditions_updated ON conditions (updated_at, id);

CREATE TABLE allergies (
    id               TEXT         NOT NULL PRIMARY KEY,
    patient_id       TEXT         NOT NULL REFERENCES patients (id),
    practitioner_id  TEXT         REFERENCES practitioners (id),
    clinical_status  TEXT         NOT NULL DEFAULT 'active'
                     CHECK (clinical_status IN ('active', 'inactive', 'resolved')),
    criticality      TEXT         CHECK (criticality IN ('low', 'high', 'unable-to-assess')),
    code_system      TEXT         NOT NULL,
    code             TEXT         NOT NULL,
    code_display     TEXT,
    recorded_at      DATETIME,
    version          INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE INDEX allergies_patient ON allergies (patient_id, code);
CREATE INDEX allergies_practitioner ON allergies (practitioner_id);
CREATE INDEX allergies_updated ON allergies (updated_at, id);

CREATE TABLE medications (
    id               TEXT         NOT NULL PRIMARY KEY,
    patient_id       TEXT         NOT NULL REFERENCES patients (id),
    encounter_id     TEXT         REFERENCES encounters (id),
    practitioner_id  TEXT         REFERENCES practitioners (id),
    status           TEXT         NOT NULL
                     CHECK (status IN ('active', 'on-hold', 'cancelled', 'completed', 'entered-in-error',
                                       'stopped', 'draft', 'unknown')),
    intent           TEXT         NOT NULL DEFAULT 'order'
                     CHECK (intent IN ('proposal', 'plan', 'order', 'original-order', 'reflex-order',
                                       'filler-order', 'instance-order', 'option')),
    code_system      TEXT         NOT NULL,
    code             TEXT         NOT NULL,
    code_display     TEXT,
    dosage_text      TEXT,
    authored_at      DATETIME,
    version          INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE INDEX medications_patient ON medications (patient_id, authored_at);
CREATE INDEX medications_encounter ON medications (encounter_id);
CREATE INDEX medications_practitioner ON medications (practitioner_id);
CREATE INDEX medications_code ON medications (code);
CREATE INDEX medications_updated ON medications (updated_at, id);

CREATE TABLE procedures (
    id               TEXT         NOT NULL PRIMARY KEY,
    patient_id       TEXT         NOT NULL REFERENCES patients (id),
    encounter_id     TEXT         REFERENCES encounters (id),
    practitioner_id  TEXT         REFERENCES practitioners (id),
    status           TEXT         NOT NULL
                     CHECK (status IN ('preparation', 'in-progress', 'not-done', 'on-hold', 'stopped',
                                       'completed', 'entered-in-error', 'unknown')),
    code_system      TEXT         NOT NULL,
    code             TEXT         NOT NULL,
    code_display     TEXT,
    performed_at     DATETIME,
    note             TEXT,
    version          INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE INDEX procedures_patient ON procedures (patient_id, performed_at);
CREATE INDEX procedures_encounter ON procedures (encounter_id);
CREATE INDEX procedures_practitioner ON procedures (practitioner_id);
CREATE INDEX procedures_updated ON procedures (updated_at, id);

CREATE TABLE appointments (
    id               TEXT         NOT NULL PRIMARY KEY,
    patient_id       TEXT         NOT NULL REFERENCES patients (id),
    practitioner_id  TEXT         REFERENCES practitioners (id),
    status           TEXT         NOT NULL
                     CHECK (status IN ('proposed', 'pending', 'booked', 'arrived', 'fulfilled', 'cancelled',
                                       'noshow', 'entered-in-error', 'checked-in', 'waitlist')),
    description      TEXT,
    starts_at        DATETIME,
    ends_at          DATETIME,
    version          INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    CHECK (ends_at IS NULL OR starts_at IS NULL OR ends_at >= starts_at)
);
CREATE INDEX appointments_patient ON appointments (patient_id, starts_at);
CREATE INDEX appointments_practitioner ON appointments (practitioner_id, starts_at);
CREATE INDEX appointments_starts ON appointments (starts_at, id);
CREATE INDEX appointments_updated ON appointments (updated_at, id);

CREATE TABLE documents (
    id               TEXT         NOT NULL PRIMARY KEY,
    patient_id       TEXT         NOT NULL REFERENCES patients (id),
    practitioner_id  TEXT         REFERENCES practitioners (id),
    status           TEXT         NOT NULL DEFAULT 'current'
                     CHECK (status IN ('current', 'superseded', 'entered-in-error')),
    type_system      TEXT,
    type_code        TEXT,
    type_display     TEXT,
    title            TEXT,
    content_type     TEXT         NOT NULL,
    url              TEXT          NOT NULL,
    written_at       DATETIME,
    version          INTEGER      NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       DATETIME     NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE INDEX documents_patient ON documents (patient_id, written_at);
CREATE INDEX documents_practitioner ON documents (practitioner_id);
CREATE INDEX documents_type ON documents (type_code);
CREATE INDEX documents_updated ON documents (updated_at, id);

-- Codes the schema's own columns take, with what people call them; loaded when a database is made.
CREATE TABLE reference_codes (
    list     TEXT         NOT NULL,
    code     TEXT         NOT NULL,
    system   TEXT         NOT NULL,
    display  TEXT         NOT NULL,
    PRIMARY KEY (list, code)
);
