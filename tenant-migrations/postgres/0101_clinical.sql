-- Whose database this is. One row, written when the database is provisioned and compared before any
-- migration or destruction.
CREATE TABLE wardgate_identity (
    only_row    boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    tenant_id   uuid        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE practitioners (
    id           uuid         PRIMARY KEY,
    family       varchar(200) NOT NULL,
    given        varchar(200),
    prefix       varchar(40),
    licence      varchar(64)  UNIQUE,
    active       boolean      NOT NULL DEFAULT true,
    version      bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at   timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX practitioners_family ON practitioners (family);
CREATE INDEX practitioners_updated ON practitioners (updated_at, id);

CREATE TABLE patients (
    id           uuid         PRIMARY KEY,
    family       varchar(200),
    given        varchar(200),
    birth_date   date,
    gender       varchar(7)   NOT NULL DEFAULT 'unknown'
                 CHECK (gender IN ('male', 'female', 'other', 'unknown')),
    deceased_at  timestamptz,
    active       boolean      NOT NULL DEFAULT true,
    version      bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at   timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX patients_family ON patients (family, given);
CREATE INDEX patients_birth_date ON patients (birth_date, id);
CREATE INDEX patients_updated ON patients (updated_at, id);

CREATE TABLE patient_identifiers (
    patient_id   uuid         NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    position     smallint     NOT NULL,
    use_code     varchar(9)   CHECK (use_code IN ('usual', 'official', 'temp', 'secondary', 'old')),
    system       varchar(500) NOT NULL,
    value        varchar(200) NOT NULL,
    PRIMARY KEY (patient_id, position),
    UNIQUE (system, value)
);
CREATE INDEX patient_identifiers_value ON patient_identifiers (value);

CREATE TABLE patient_contacts (
    patient_id   uuid         NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    position     smallint     NOT NULL,
    system       varchar(5)   NOT NULL
                 CHECK (system IN ('phone', 'fax', 'email', 'pager', 'url', 'sms', 'other')),
    use_code     varchar(6)   CHECK (use_code IN ('home', 'work', 'temp', 'old', 'mobile')),
    value        varchar(200) NOT NULL,
    PRIMARY KEY (patient_id, position)
);
CREATE INDEX patient_contacts_value ON patient_contacts (value);

CREATE TABLE encounters (
    id               uuid         PRIMARY KEY,
    patient_id       uuid         NOT NULL REFERENCES patients (id),
    practitioner_id  uuid         REFERENCES practitioners (id),
    status           varchar(16)  NOT NULL
                     CHECK (status IN ('planned', 'arrived', 'triaged', 'in-progress', 'onleave',
                                       'finished', 'cancelled', 'entered-in-error', 'unknown')),
    class_code       varchar(20)  NOT NULL,
    started_at       timestamptz,
    ended_at         timestamptz,
    reason           varchar(500),
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       timestamptz  NOT NULL DEFAULT now(),
    CHECK (ended_at IS NULL OR started_at IS NULL OR ended_at >= started_at)
);
CREATE INDEX encounters_patient ON encounters (patient_id, started_at);
CREATE INDEX encounters_practitioner ON encounters (practitioner_id);
CREATE INDEX encounters_started ON encounters (started_at, id);
CREATE INDEX encounters_updated ON encounters (updated_at, id);

CREATE TABLE observations (
    id               uuid          PRIMARY KEY,
    patient_id       uuid          NOT NULL REFERENCES patients (id),
    encounter_id     uuid          REFERENCES encounters (id),
    practitioner_id  uuid          REFERENCES practitioners (id),
    status           varchar(16)   NOT NULL
                     CHECK (status IN ('registered', 'preliminary', 'final', 'amended', 'corrected',
                                       'cancelled', 'entered-in-error', 'unknown')),
    category         varchar(40),
    code_system      varchar(500)  NOT NULL,
    code             varchar(80)   NOT NULL,
    code_display     varchar(300),
    value_number     numeric,
    value_unit       varchar(40),
    value_code       varchar(80),
    value_text       text,
    effective_at     timestamptz,
    issued_at        timestamptz,
    version          bigint        NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       timestamptz   NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(value_number, value_code, value_text) <= 1)
);
CREATE INDEX observations_patient ON observations (patient_id, code, effective_at);
CREATE INDEX observations_encounter ON observations (encounter_id);
CREATE INDEX observations_practitioner ON observations (practitioner_id);
CREATE INDEX observations_code ON observations (code, effective_at);
CREATE INDEX observations_updated ON observations (updated_at, id);
