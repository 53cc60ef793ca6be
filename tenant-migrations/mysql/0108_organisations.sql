CREATE TABLE organisations (
    id           char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    name         varchar(300) NOT NULL,
    code         varchar(64)  UNIQUE,
    part_of      char(36) CHARACTER SET ascii COLLATE ascii_bin,
    phone        varchar(40),
    city         varchar(120),
    active       tinyint(1)   NOT NULL DEFAULT 1,
    version      bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at   datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    KEY organisations_name (name),
    KEY organisations_part_of (part_of),
    KEY organisations_updated (updated_at, id),
    CONSTRAINT organisations_part_of FOREIGN KEY (part_of) REFERENCES organisations (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
