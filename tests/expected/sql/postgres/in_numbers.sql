SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE (t0."id" OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.int8[]))
ORDER BY t0."id" LIMIT 51;
-- 1: ints [1, 2, 3]
