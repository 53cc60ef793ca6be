SELECT t0."id", t0."surname", (t0."seen" AT TIME ZONE 'UTC')
FROM "clinic"."patient" AS t0
WHERE (pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~<~) $1::pg_catalog.text OR (pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~>=~) $2::pg_catalog.text) OR (pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~>=~) $3::pg_catalog.text AND pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~<~) $4::pg_catalog.text) OR (pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~>=~) $5::pg_catalog.text AND pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~<~) $6::pg_catalog.text) OR (pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~>=~) $7::pg_catalog.text AND pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~<~) $8::pg_catalog.text) OR (pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~>=~) $9::pg_catalog.text AND pg_catalog.lower(t0."surname"::pg_catalog.text) OPERATOR(pg_catalog.~<~) $10::pg_catalog.text))
ORDER BY t0."id" LIMIT 51;
-- 1: text "!"
-- 2: text "\u{80}"
-- 3: text "o\u{80}"
-- 4: text "p"
-- 5: text "ob\u{80}"
-- 6: text "oc"
-- 7: text "ob'\u{80}"
-- 8: text "ob("
-- 9: text "ob'e"
-- 10: text "ob'f"
