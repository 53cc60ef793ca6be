CREATE TABLE allergies (
    id               char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    patient_id       char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    practitioner_id  char(36) CHARACTER SET ascii COLLATE ascii_bin,
    clinical_status  varchar(8)   NOT NULL DEFAULT 'active'
                     CHECK (clinical_status IN ('active', 'inactive', 'resolved')),
    criticality      varchar(16)  CHECK (criticality IN ('low', 'high', 'unable-to-assess')),
    code_system      varchar(500) NOT NULL,
    code             varchar(80)  NOT NULL,
    code_display     varchar(300),
    recorded_at      datetime(6),
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    KEY allergies_patient (patient_id, code),
    KEY allergies_practitioner (practitioner_id),
    KEY allergies_updated (updated_at, id),
    CONSTRAINT allergies_patient_id FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT allergies_practitioner_id FOREIGN KEY (practitioner_id) REFERENCES practitioners (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
