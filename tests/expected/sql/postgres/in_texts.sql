SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE (t0."surname" OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]))
ORDER BY t0."id" LIMIT 51;
-- 1: texts ["a", "b", "c"]
