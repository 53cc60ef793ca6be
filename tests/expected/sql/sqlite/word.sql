SELECT t0."id", t0."surname", t0."seen"
FROM "clinic"."patient" AS t0
WHERE ((t0."surname" GLOB ? OR t0."surname" GLOB ?))
ORDER BY t0."id" LIMIT ?;
-- 1: text "[xXẊẋẌẍ][yYÝýÿŶŷŸȲȳẎẏẙỲỳỴỵỶỷỸỹ]*"
-- 2: text "* [xXẊẋẌẍ][yYÝýÿŶŷŸȲȳẎẏẙỲỳỴỵỶỷỸỹ]*"
-- 3: integer 51
