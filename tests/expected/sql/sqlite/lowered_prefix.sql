SELECT t0."id", t0."surname", t0."seen"
FROM "clinic"."patient" AS t0
WHERE TRUE
ORDER BY t0."id" LIMIT ?;
-- 1: integer 51
