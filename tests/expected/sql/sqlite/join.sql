SELECT t0."id", t0."surname", t0."seen", t1."amount"
FROM "clinic"."patient" AS t0 LEFT JOIN "clinic"."ward" AS t1 ON t1."id" = t0."ward_id" AND (t1."kind" = ? COLLATE BINARY)
WHERE (NULLIF(concat_ws(?, CASE WHEN TRIM(CAST(t0."surname" AS TEXT)) <> '' THEN CAST(t0."surname" AS TEXT) END, CASE WHEN TRIM(CAST(t0."surname" AS TEXT)) <> '' THEN CAST(t0."surname" AS TEXT) END), '') COLLATE BINARY = ?)
ORDER BY t0."id" LIMIT ?;
-- 1: text "bed"
-- 2: text " "
-- 3: text "a b"
-- 4: integer 51
