CREATE TABLE patient_contacts (
    patient_id   char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    position     smallint     NOT NULL,
    `system`       varchar(5)   NOT NULL
                 CHECK (`system` IN ('phone', 'fax', 'email', 'pager', 'url', 'sms', 'other')),
    use_code     varchar(6)   CHECK (use_code IN ('home', 'work', 'temp', 'old', 'mobile')),
    value        varchar(200) NOT NULL,
    PRIMARY KEY (patient_id, position),
    KEY patient_contacts_value (value),
    CONSTRAINT patient_contacts_patient_id FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
