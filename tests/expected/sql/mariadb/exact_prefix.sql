SELECT CAST(t0.`id` + 0 AS CHAR CHARACTER SET utf8mb4), CAST(t0.`surname` AS CHAR CHARACTER SET utf8mb4), CAST(t0.`seen` AS CHAR CHARACTER SET utf8mb4)
FROM `clinic`.`patient` AS t0
WHERE ((t0.`surname` LIKE ? ESCAPE '!' AND CAST(CONVERT(t0.`surname` USING utf8mb4) AS BINARY) LIKE ? ESCAPE '!'))
ORDER BY t0.`id` LIMIT ?;
-- 1: text "Xy%"
-- 2: bytes "Xy%"
-- 3: integer 51
