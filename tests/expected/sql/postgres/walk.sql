SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE (t0."surname" IS NULL) IS NOT TRUE AND (t0."born" OPERATOR(pg_catalog.<) $1::pg_catalog.date OR t0."born" IS NULL OR (t0."born" OPERATOR(pg_catalog.=) $2::pg_catalog.date AND (t0."id" OPERATOR(pg_catalog.>) $3::pg_catalog.int8)))
ORDER BY t0."born" DESC NULLS LAST, t0."id" LIMIT 51;
-- 1: text "2001-02-03"
-- 2: text "2001-02-03"
-- 3: integer 7
