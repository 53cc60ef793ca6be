SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE ((t0."born" OPERATOR(pg_catalog.<) $1::pg_catalog.date) AND (t0."seen" OPERATOR(pg_catalog.>=) $2::pg_catalog.timestamptz) AND ((t0."weight" OPERATOR(pg_catalog.>) $3::pg_catalog.float8 AND t0."weight" OPERATOR(pg_catalog.<>) $4::pg_catalog.float8)))
ORDER BY t0."id" LIMIT 51;
-- 1: text "2001-02-03"
-- 2: text "2001-02-03T00:00:00Z"
-- 3: text "3.14"
-- 4: text "3.140000104904175"
