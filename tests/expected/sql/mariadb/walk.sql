SELECT CAST(t0.`id` + 0 AS CHAR CHARACTER SET utf8mb4), CAST(t0.`surname` AS CHAR CHARACTER SET utf8mb4), CAST(t0.`seen` AS CHAR CHARACTER SET utf8mb4)
FROM `clinic`.`patient` AS t0
WHERE (t0.`surname` IS NULL) IS NOT TRUE AND (t0.`born` < CAST(? AS DATE) OR t0.`born` IS NULL OR (t0.`born` = CAST(? AS DATE) AND (t0.`id` > ?)))
ORDER BY t0.`born` IS NULL, t0.`born` DESC, t0.`id` LIMIT ?;
-- 1: text "2001-02-03"
-- 2: text "2001-02-03"
-- 3: integer 7
-- 4: integer 51
