SELECT CAST(t0.`id` + 0 AS CHAR CHARACTER SET utf8mb4), CAST(t0.`surname` AS CHAR CHARACTER SET utf8mb4), CAST(t0.`seen` AS CHAR CHARACTER SET utf8mb4)
FROM `clinic`.`patient` AS t0
WHERE (((t0.`born` >= '0001-01-01' AND t0.`born` < CAST(? AS DATE))) AND (t0.`seen` >= CAST(? AS DATETIME(6))) AND ((t0.`weight` > ? AND t0.`weight` <> ?)))
ORDER BY t0.`id` LIMIT ?;
-- 1: text "2001-02-03"
-- 2: text "2001-02-03 00:00:00"
-- 3: float 3.14
-- 4: float 3.140000104904175
-- 5: integer 51
