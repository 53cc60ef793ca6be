SELECT CAST(t0.`id` + 0 AS CHAR CHARACTER SET utf8mb4), CAST(t0.`surname` AS CHAR CHARACTER SET utf8mb4), CAST(t0.`seen` AS CHAR CHARACTER SET utf8mb4)
FROM `clinic`.`patient` AS t0
WHERE ((t0.`surname` IN (?, ?, ?, ?) AND CAST(CONVERT(t0.`surname` USING utf8mb4) AS BINARY) IN (?, ?, ?, ?)))
ORDER BY t0.`id` LIMIT ?;
-- 1: text "a"
-- 2: text "b"
-- 3: text "c"
-- 4: text "c"
-- 5: bytes "a"
-- 6: bytes "b"
-- 7: bytes "c"
-- 8: bytes "c"
-- 9: integer 51
