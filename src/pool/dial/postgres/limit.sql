(SELECT (EXTRACT(EPOCH FROM (CASE
    -- Somebody between, who may serve the next statement on another session of his: nothing is set here.
    WHEN pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.<>) $process OR $stands THEN said
    ELSE pg_catalog.set_config('statement_timeout', '$limit', false)
  END)::pg_catalog.interval) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8::pg_catalog.text
  FROM (SELECT said, (EXTRACT(EPOCH FROM said::pg_catalog.interval) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8 AS own
    FROM pg_catalog.current_setting('statement_timeout') AS said) AS of)
