SELECT t0."id", t0."surname", t0."seen"
FROM "clinic"."patient" AS t0
WHERE (((typeof(t0."born") = 'text' AND t0."born" < ?)) AND ((typeof(t0."seen") = 'text' AND t0."seen" >= ? AND rtrim(replace(CASE length(t0."seen") WHEN 10 THEN t0."seen" || ' 00:00:00' WHEN 16 THEN t0."seen" || ':00' ELSE t0."seen" END, 'T', ' '), 'Z') >= ?)) AND ((typeof(t0."weight") IN ('integer', 'real') AND t0."weight" > ?)))
ORDER BY t0."id" LIMIT ?;
-- 1: text "2001-02-03"
-- 2: text "2001-02-03"
-- 3: text "2001-02-03 00:00:00"
-- 4: float 3.14
-- 5: integer 51
