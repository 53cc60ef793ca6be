SELECT CAST(t0.`id` + 0 AS CHAR CHARACTER SET utf8mb4), CAST(t0.`surname` AS CHAR CHARACTER SET utf8mb4), CAST(t0.`seen` AS CHAR CHARACTER SET utf8mb4), CAST(t1.`amount` AS CHAR CHARACTER SET utf8mb4)
FROM `clinic`.`patient` AS t0 LEFT JOIN `clinic`.`ward` AS t1 ON t0.`ward_id` = t1.`id` AND ((t1.`kind` = ? AND CAST(CONVERT(t1.`kind` USING utf8mb4) AS BINARY) = ?))
WHERE (CAST(NULLIF(concat_ws(?, CASE WHEN TRIM(CONVERT(t0.`surname` USING utf8mb4)) <> '' THEN CONVERT(t0.`surname` USING utf8mb4) END, CASE WHEN TRIM(CONVERT(t0.`surname` USING utf8mb4)) <> '' THEN CONVERT(t0.`surname` USING utf8mb4) END), '') AS BINARY) = ?)
ORDER BY t0.`id` LIMIT ?;
-- 1: text "bed"
-- 2: bytes "bed"
-- 3: text " "
-- 4: bytes "a b"
-- 5: integer 51
