SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE (t0."surname"::pg_catalog.text OPERATOR(pg_catalog.~) $1::pg_catalog.text)
ORDER BY t0."id" LIMIT 51;
-- 1: text "^[xXẊẋẌẍ][yYÝýÿŶŷŸȲȳẎẏẙỲỳỴỵỶỷỸỹ]"
