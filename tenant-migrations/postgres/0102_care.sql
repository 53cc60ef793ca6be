CREATE TABLE organisations (
    id           uuid         PRIMARY KEY,
    name         varchar(300) NOT NULL,
    code         varchar(64)  UNIQUE,
    part_of      uuid         REFERENCES organisations (id),
    phone        varchar(40),
    city         varchar(120),
    active       boolean      NOT NULL DEFAULT true,
    version      bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at   timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX organisations_name ON organisations (name);
CREATE INDEX organisations_part_of ON organisations (part_of);
CREATE INDEX organisations_updated ON organisations (updated_at, id);

CREATE TABLE conditions (
    id               uuid         PRIMARY KEY,
    patient_id       uuid         NOT NULL REFERENCES patients (id),
    encounter_id     uuid         REFERENCES encounters (id),
    practitioner_id  uuid         REFERENCES practitioners (id),
    clinical_status  varchar(12)  NOT NULL DEFAULT 'active'
                     CHECK (clinical_status IN ('active', 'recurrence', 'relapse', 'inactive', 'remission', 'resolved')),
    code_system      varchar(500) NOT NULL,
    code             varchar(80)  NOT NULL,
    code_display     varchar(300),
    onset_at         timestamptz,
    recorded_at      timestamptz,
    note             text,
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX conditions_patient ON conditions (patient_id, code);
CREATE INDEX conditions_encounter ON conditions (encounter_id);
CREATE INDEX conditions_practitioner ON conditions (practitioner_id);
CREATE INDEX conditions_code ON conditions (code);
CREATE INDEX conditions_updated ON conditions (updated_at, id);

CREATE TABLE allergies (
    id               uuid         PRIMARY KEY,
    patient_id       uuid         NOT NULL REFERENCES patients (id),
    practitioner_id  uuid         REFERENCES practitioners (id),
    clinical_status  varchar(8)   NOT NULL DEFAULT 'active'
                     CHECK (clinical_status IN ('active', 'inactive', 'resolved')),
    criticality      varchar(16)  CHECK (criticality IN ('low', 'high', 'unable-to-assess')),
    code_system      varchar(500) NOT NULL,
    code             varchar(80)  NOT NULL,
    code_display     varchar(300),
    recorded_at      timestamptz,
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX allergies_patient ON allergies (patient_id, code);
CREATE INDEX allergies_practitioner ON allergies (practitioner_id);
CREATE INDEX allergies_updated ON allergies (updated_at, id);

CREATE TABLE medications (
    id               uuid         PRIMARY KEY,
    patient_id       uuid         NOT NULL REFERENCES patients (id),
    encounter_id     uuid         REFERENCES encounters (id),
    practitioner_id  uuid         REFERENCES practitioners (id),
    status           varchar(16)  NOT NULL
                     CHECK (status IN ('active', 'on-hold', 'cancelled', 'completed', 'entered-in-error',
                                       'stopped', 'draft', 'unknown')),
    intent           varchar(16)  NOT NULL DEFAULT 'order'
                     CHECK (intent IN ('proposal', 'plan', 'order', 'original-order', 'reflex-order',
                                       'filler-order', 'instance-order', 'option')),
    code_system      varchar(500) NOT NULL,
    code             varchar(80)  NOT NULL,
    code_display     varchar(300),
    dosage_text      varchar(500),
    authored_at      timestamptz,
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX medications_patient ON medications (patient_id, authored_at);
CREATE INDEX medications_encounter ON medications (encounter_id);
CREATE INDEX medications_practitioner ON medications (practitioner_id);
CREATE INDEX medications_code ON medications (code);
CREATE INDEX medications_updated ON medications (updated_at, id);

CREATE TABLE procedures (
    id               uuid         PRIMARY KEY,
    patient_id       uuid         NOT NULL REFERENCES patients (id),
    encounter_id     uuid         REFERENCES encounters (id),
    practitioner_id  uuid         REFERENCES practitioners (id),
    status           varchar(16)  NOT NULL
                     CHECK (status IN ('preparation', 'in-progress', 'not-done', 'on-hold', 'stopped',
                                       'completed', 'entered-in-error', 'unknown')),
    code_system      varchar(500) NOT NULL,
    code             varchar(80)  NOT NULL,
    code_display     varchar(300),
    performed_at     timestamptz,
    note             text,
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX procedures_patient ON procedures (patient_id, performed_at);
CREATE INDEX procedures_encounter ON procedures (encounter_id);
CREATE INDEX procedures_practitioner ON procedures (practitioner_id);
CREATE INDEX procedures_updated ON procedures (updated_at, id);

CREATE TABLE appointments (
    id               uuid         PRIMARY KEY,
    patient_id       uuid         NOT NULL REFERENCES patients (id),
    practitioner_id  uuid         REFERENCES practitioners (id),
    status           varchar(16)  NOT NULL
                     CHECK (status IN ('proposed', 'pending', 'booked', 'arrived', 'fulfilled', 'cancelled',
                                       'noshow', 'entered-in-error', 'checked-in', 'waitlist')),
    description      varchar(500),
    starts_at        timestamptz,
    ends_at          timestamptz,
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       timestamptz  NOT NULL DEFAULT now(),
    CHECK (ends_at IS NULL OR starts_at IS NULL OR ends_at >= starts_at)
);
CREATE INDEX appointments_patient ON appointments (patient_id, starts_at);
CREATE INDEX appointments_practitioner ON appointments (practitioner_id, starts_at);
CREATE INDEX appointments_starts ON appointments (starts_at, id);
CREATE INDEX appointments_updated ON appointments (updated_at, id);

CREATE TABLE documents (
    id               uuid         PRIMARY KEY,
    patient_id       uuid         NOT NULL REFERENCES patients (id),
    practitioner_id  uuid         REFERENCES practitioners (id),
    status           varchar(16)  NOT NULL DEFAULT 'current'
                     CHECK (status IN ('current', 'superseded', 'entered-in-error')),
    type_system      varchar(500),
    type_code        varchar(80),
    type_display     varchar(300),
    title            varchar(300),
    content_type     varchar(100) NOT NULL,
    url              varchar(1000) NOT NULL,
    written_at       timestamptz,
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX documents_patient ON documents (patient_id, written_at);
CREATE INDEX documents_practitioner ON documents (practitioner_id);
CREATE INDEX documents_type ON documents (type_code);
CREATE INDEX documents_updated ON documents (updated_at, id);

-- Codes the schema's own columns take, with what people call them; loaded when a database is made.
CREATE TABLE reference_codes (
    list     varchar(60)  NOT NULL,
    code     varchar(40)  NOT NULL,
    system   varchar(500) NOT NULL,
    display  varchar(200) NOT NULL,
    PRIMARY KEY (list, code)
);
