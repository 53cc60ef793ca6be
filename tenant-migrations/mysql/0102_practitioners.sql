CREATE TABLE practitioners (
    id           char(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    family       varchar(200) NOT NULL,
    given        varchar(200),
    prefix       varchar(40),
    licence      varchar(64)  UNIQUE,
    active       tinyint(1)   NOT NULL DEFAULT 1,
    version      bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at   datetime(6)  NOT NULL DEFAULT (utc_timestamp(6)),
    KEY practitioners_family (family),
    KEY practitioners_updated (updated_at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
