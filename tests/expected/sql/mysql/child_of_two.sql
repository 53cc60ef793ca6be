SELECT CAST(t0.`id` + 0 AS CHAR CHARACTER SET utf8mb4), CAST(t0.`surname` AS CHAR CHARACTER SET utf8mb4), CAST(t0.`seen` AS CHAR CHARACTER SET utf8mb4)
FROM `clinic`.`patient` AS t0
WHERE ((t0.`patient_id`, t0.`site`) IN ((?, ?), (?, ?), (?, ?), (?, ?)))
ORDER BY t0.`patient_id`, t0.`site`, t0.`id` IS NULL, t0.`id`;
-- 1: integer 1
-- 2: text "a"
-- 3: integer 2
-- 4: text "b"
-- 5: integer 3
-- 6: text "c"
-- 7: integer 3
-- 8: text "c"
