SELECT t0."id", t0."surname", t0."seen"
FROM "clinic"."patient" AS t0
WHERE (t0."surname" GLOB ?)
ORDER BY t0."id" LIMIT ?;
-- 1: text "Xy*"
-- 2: integer 51
