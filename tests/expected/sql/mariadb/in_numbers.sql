SELECT CAST(t0.`id` + 0 AS CHAR CHARACTER SET utf8mb4), CAST(t0.`surname` AS CHAR CHARACTER SET utf8mb4), CAST(t0.`seen` AS CHAR CHARACTER SET utf8mb4)
FROM `clinic`.`patient` AS t0
WHERE (t0.`id` IN (?, ?, ?, ?))
ORDER BY t0.`id` LIMIT ?;
-- 1: integer 1
-- 2: integer 2
-- 3: integer 3
-- 4: integer 3
-- 5: integer 51
