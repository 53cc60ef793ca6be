SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE (t0."id" IN (SELECT s1_0."patient_id"
FROM "clinic"."identifier" AS s1_0
WHERE (s1_0."value" = $1::text))) IS NOT TRUE
ORDER BY t0."id" LIMIT $2;
-- 1: text "A-1"
-- 2: integer 51
