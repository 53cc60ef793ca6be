SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE (t0."surname" LIKE $1::text ESCAPE '!')
ORDER BY t0."id" LIMIT $2;
-- 1: text "Xy%"
-- 2: integer 51
