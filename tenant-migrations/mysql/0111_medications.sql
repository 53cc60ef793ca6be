CREATE TABLE medications (
    id               char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    patient_id       char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    encounter_id     char(36) CHARACTER SET ascii COLLATE ascii_bin,
    practitioner_id  char(36) CHARACTER SET ascii COLLATE ascii_bin,
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
    authored_at      datetime(6),
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    KEY medications_patient (patient_id, authored_at),
    KEY medications_encounter (encounter_id),
    KEY medications_practitioner (practitioner_id),
    KEY medications_code (code),
    KEY medications_updated (updated_at, id),
    CONSTRAINT medications_patient_id FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT medications_encounter_id FOREIGN KEY (encounter_id) REFERENCES encounters (id),
    CONSTRAINT medications_practitioner_id FOREIGN KEY (practitioner_id) REFERENCES practitioners (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
