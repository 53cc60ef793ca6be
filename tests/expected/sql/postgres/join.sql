SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC'), t1."amount"
FROM "clinic"."patient" AS t0 LEFT JOIN "clinic"."ward" AS t1 ON t0."ward_id" OPERATOR(pg_catalog.=) t1."id" AND (t1."kind" OPERATOR(pg_catalog.=) $1::pg_catalog.text)
WHERE (NULLIF(pg_catalog.concat_ws($2::pg_catalog.text, CASE WHEN pg_catalog.btrim(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.<>) '' THEN t0."surname"::pg_catalog.text END, CASE WHEN pg_catalog.btrim(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.<>) '' THEN t0."surname"::pg_catalog.text END), '') COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) $3::pg_catalog.text)
ORDER BY t0."id" LIMIT 51;
-- 1: text "bed"
-- 2: text " "
-- 3: text "a b"
