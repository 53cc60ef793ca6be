SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE ((t0."patient_id", t0."site") OPERATOR(pg_catalog.=) ANY (SELECT *
FROM ROWS
FROM (pg_catalog.unnest($1::pg_catalog.int8[]), pg_catalog.unnest($2::pg_catalog.text[]))))
ORDER BY t0."patient_id", t0."site", t0."id";
-- 1: texts ["1", "2", "3"]
-- 2: texts ["a", "b", "c"]
