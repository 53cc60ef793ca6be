CREATE TABLE appointments (
    id               char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    patient_id       char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    practitioner_id  char(36) CHARACTER SET ascii COLLATE ascii_bin,
    status           varchar(16)  NOT NULL
                     CHECK (status IN ('proposed', 'pending', 'booked', 'arrived', 'fulfilled', 'cancelled',
                                       'noshow', 'entered-in-error', 'checked-in', 'waitlist')),
    description      varchar(500),
    starts_at        datetime(6),
    ends_at          datetime(6),
    version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at       datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    CHECK (ends_at IS NULL OR starts_at IS NULL OR ends_at >= starts_at),
    KEY appointments_patient (patient_id, starts_at),
    KEY appointments_practitioner (practitioner_id, starts_at),
    KEY appointments_starts (starts_at, id),
    KEY appointments_updated (updated_at, id),
    CONSTRAINT appointments_patient_id FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT appointments_practitioner_id FOREIGN KEY (practitioner_id) REFERENCES practitioners (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
