SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE (t0."id" OPERATOR(pg_catalog.=) ANY (SELECT s1_0."patient_id"
FROM "clinic"."identifier" AS s1_0
WHERE (s1_0."value" OPERATOR(pg_catalog.=) $1::pg_catalog.text))) IS NOT TRUE
ORDER BY t0."id" LIMIT 51;
-- 1: text "A-1"
