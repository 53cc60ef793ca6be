SELECT t0."id", t0."surname", t0."seen"
FROM "clinic"."patient" AS t0
WHERE (t0."surname" COLLATE BINARY IN (?, ?, ?, ?))
ORDER BY t0."id" LIMIT ?;
-- 1: text "a"
-- 2: text "b"
-- 3: text "c"
-- 4: text "c"
-- 5: integer 51
