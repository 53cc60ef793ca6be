SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC'), t1."amount"
FROM "clinic"."patient" AS t0 LEFT JOIN "clinic"."ward" AS t1 ON t0."ward_id" = t1."id" AND (t1."kind" = $1::text)
WHERE (NULLIF(concat_ws($2::text, CASE WHEN btrim(t0."surname"::text) <> '' THEN t0."surname"::text END, CASE WHEN btrim(t0."surname"::text) <> '' THEN t0."surname"::text END), '') COLLATE "C" = $3::text)
ORDER BY t0."id" LIMIT $4;
-- 1: text "bed"
-- 2: text " "
-- 3: text "a b"
-- 4: integer 51
