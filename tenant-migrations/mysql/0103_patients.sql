CREATE TABLE patients (
    id           char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    family       varchar(200),
    given        varchar(200),
    birth_date   date,
    gender       varchar(7)   NOT NULL DEFAULT 'unknown'
                 CHECK (gender IN ('male', 'female', 'other', 'unknown')),
    deceased_at  datetime(6),
    active       tinyint(1)   NOT NULL DEFAULT 1,
    version      bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at   datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    KEY patients_family (family, given),
    KEY patients_birth_date (birth_date, id),
    KEY patients_updated (updated_at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
