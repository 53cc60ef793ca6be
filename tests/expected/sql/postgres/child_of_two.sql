SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE ((t0."patient_id", t0."site") IN (SELECT *
FROM unnest($1::int8[], $2::text[])))
ORDER BY t0."patient_id", t0."site", t0."id";
-- 1: texts ["1", "2", "3"]
-- 2: texts ["a", "b", "c"]
