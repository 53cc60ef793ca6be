SELECT t0."id", t0."surname", t0."seen"
FROM "clinic"."patient" AS t0
WHERE (t0."surname" IS NULL) IS NOT TRUE AND (t0."born" < ? OR t0."born" IS NULL OR (t0."born" = ? AND (t0."id" > ?)))
ORDER BY t0."born" DESC, t0."id" LIMIT ?;
-- 1: text "2001-02-03"
-- 2: text "2001-02-03"
-- 3: integer 7
-- 4: integer 51
