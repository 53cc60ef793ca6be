SELECT CAST(t0.`id` + 0 AS CHAR CHARACTER SET utf8mb4), CAST(t0.`surname` AS CHAR CHARACTER SET utf8mb4), CAST(t0.`seen` AS CHAR CHARACTER SET utf8mb4)
FROM `clinic`.`patient` AS t0
WHERE TRUE
ORDER BY t0.`id` LIMIT ?;
-- 1: integer 51
