CREATE TABLE patient_identifiers (
    patient_id   char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    position     smallint     NOT NULL,
    use_code     varchar(9)   CHECK (use_code IN ('usual', 'official', 'temp', 'secondary', 'old')),
    `system`       varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    value        varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (patient_id, position),
    UNIQUE (`system`, value),
    KEY patient_identifiers_value (value),
    CONSTRAINT patient_identifiers_patient_id FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
