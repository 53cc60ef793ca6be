CREATE TABLE conditions (
    id               char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    patient_id       char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    encounter_id     char(36) CHARACTER SET ascii COLLATE ascii_bin,
    practitioner_id  char(36) CHARACTER SET ascii COLLATE ascii_bin,
    clinical_status  varchar(12)  NOT NULL DEFAULT 'active'
                     CHECK (clinical_status IN ('active', 'recurrence', 'relapse', 'inactive', 'remission', 'resolved')),
    code_system      varchar(500) NOT NULL,
    code             varchar(80)  NOT NULL,
    code_display     varchar(300),
    onset_at         datetime(6),
    recorded_at      datetime(6),
    note             text,
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    KEY conditions_patient (patient_id, code),
    KEY conditions_encounter (encounter_id),
    KEY conditions_practitioner (practitioner_id),
    KEY conditions_code (code),
    KEY conditions_updated (updated_at, id),
    CONSTRAINT conditions_patient_id FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT conditions_encounter_id FOREIGN KEY (encounter_id) REFERENCES encounters (id),
    CONSTRAINT conditions_practitioner_id FOREIGN KEY (practitioner_id) REFERENCES practitioners (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
