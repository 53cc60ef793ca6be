SELECT CAST(t0.`id` + 0 AS CHAR CHARACTER SET utf8mb4), CAST(t0.`surname` AS CHAR CHARACTER SET utf8mb4), CAST(t0.`seen` AS CHAR CHARACTER SET utf8mb4)
FROM `clinic`.`patient` AS t0
WHERE (t0.`id` IN (SELECT s1_0.`patient_id`
FROM `clinic`.`identifier` AS s1_0
WHERE ((s1_0.`value` = ? AND CAST(CONVERT(s1_0.`value` USING utf8mb4) AS BINARY) = ?)))) IS NOT TRUE
ORDER BY t0.`id` LIMIT ?;
-- 1: text "A-1"
-- 2: bytes "A-1"
-- 3: integer 51
