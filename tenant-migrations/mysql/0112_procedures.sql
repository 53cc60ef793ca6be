CREATE TABLE procedures (
    id               char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    patient_id       char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    encounter_id     char(36) CHARACTER SET ascii COLLATE ascii_bin,
    practitioner_id  char(36) CHARACTER SET ascii COLLATE ascii_bin,
    status           varchar(16)  NOT NULL
                     CHECK (status IN ('preparation', 'in-progress', 'not-done', 'on-hold', 'stopped',
                                       'completed', 'entered-in-error', 'unknown')),
    code_system      varchar(500) NOT NULL,
    code             varchar(80)  NOT NULL,
    code_display     varchar(300),
    performed_at     datetime(6),
    note             text,
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    KEY procedures_patient (patient_id, performed_at),
    KEY procedures_encounter (encounter_id),
    KEY procedures_practitioner (practitioner_id),
    KEY procedures_updated (updated_at, id),
    CONSTRAINT procedures_patient_id FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT procedures_encounter_id FOREIGN KEY (encounter_id) REFERENCES encounters (id),
    CONSTRAINT procedures_practitioner_id FOREIGN KEY (practitioner_id) REFERENCES practitioners (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
