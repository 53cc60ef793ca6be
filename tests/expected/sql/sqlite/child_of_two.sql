SELECT t0."id", t0."surname", t0."seen"
FROM "clinic"."patient" AS t0
WHERE ((t0."patient_id", t0."site") IN (VALUES (?, ?), (?, ?), (?, ?), (?, ?)))
ORDER BY t0."patient_id", t0."site", t0."id" NULLS LAST;
-- 1: integer 1
-- 2: text "a"
-- 3: integer 2
-- 4: text "b"
-- 5: integer 3
-- 6: text "c"
-- 7: integer 3
-- 8: text "c"
