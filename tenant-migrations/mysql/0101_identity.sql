-- Whose database this is. One row, written when the database is provisioned and compared before any
-- migration or destruction.
CREATE TABLE wardgate_identity (
    only_row    tinyint(1)  NOT NULL PRIMARY KEY DEFAULT 1 CHECK (only_row = 1),
    tenant_id   char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at  datetime(6) NOT NULL DEFAULT (utc_timestamp(6))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
