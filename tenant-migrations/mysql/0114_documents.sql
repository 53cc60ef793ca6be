CREATE TABLE documents (
    id               char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    patient_id       char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    practitioner_id  char(36) CHARACTER SET ascii COLLATE ascii_bin,
    status           varchar(16)  NOT NULL DEFAULT 'current'
                     CHECK (status IN ('current', 'superseded', 'entered-in-error')),
    type_system      varchar(500),
    type_code        varchar(80),
    type_display     varchar(300),
    title            varchar(300),
    content_type     varchar(100) NOT NULL,
    url              varchar(1000) NOT NULL,
    written_at       datetime(6),
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    KEY documents_patient (patient_id, written_at),
    KEY documents_practitioner (practitioner_id),
    KEY documents_type (type_code),
    KEY documents_updated (updated_at, id),
    CONSTRAINT documents_patient_id FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT documents_practitioner_id FOREIGN KEY (practitioner_id) REFERENCES practitioners (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
