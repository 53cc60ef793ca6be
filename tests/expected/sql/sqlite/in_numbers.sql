SELECT t0."id", t0."surname", t0."seen"
FROM "clinic"."patient" AS t0
WHERE (t0."id" IN (?, ?, ?, ?))
ORDER BY t0."id" LIMIT ?;
-- 1: integer 1
-- 2: integer 2
-- 3: integer 3
-- 4: integer 3
-- 5: integer 51
