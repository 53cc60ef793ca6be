CREATE TABLE encounters (
    id               char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    patient_id       char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    practitioner_id  char(36) CHARACTER SET ascii COLLATE ascii_bin,
    status           varchar(16)  NOT NULL
                     CHECK (status IN ('planned', 'arrived', 'triaged', 'in-progress', 'onleave',
                                       'finished', 'cancelled', 'entered-in-error', 'unknown')),
    class_code       varchar(20)  NOT NULL,
    started_at       datetime(6),
    ended_at         datetime(6),
    reason           varchar(500),
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    CHECK (ended_at IS NULL OR started_at IS NULL OR ended_at >= started_at),
    KEY encounters_patient (patient_id, started_at),
    KEY encounters_practitioner (practitioner_id),
    KEY encounters_started (started_at, id),
    KEY encounters_updated (updated_at, id),
    CONSTRAINT encounters_patient_id FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT encounters_practitioner_id FOREIGN KEY (practitioner_id) REFERENCES practitioners (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
