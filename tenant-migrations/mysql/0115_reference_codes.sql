-- Codes the schema's own columns take, with what people call them, loaded when a database is made.
CREATE TABLE reference_codes (
    list     varchar(60)  NOT NULL,
    code     varchar(40)  NOT NULL,
    `system`   varchar(500) NOT NULL,
    display  varchar(200) NOT NULL,
    PRIMARY KEY (list, code)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
