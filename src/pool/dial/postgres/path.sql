(SELECT CASE
  -- Somebody between, who may serve the next statement on another session of his: nothing is set here.
  WHEN pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.<>) $process THEN CASE WHEN safe THEN 'pooled' ELSE 'exposed' END
  -- What the role or the database says, with the built-in names first and temporary ones last. Bare, a temporary
  -- table or type comes before all others.
  WHEN safe THEN 'own'
  WHEN pg_catalog.set_config('search_path', CASE
    WHEN path OPERATOR(pg_catalog.!~) 'pg_(temp|catalog)'
    THEN pg_catalog.concat_ws(', ', CASE WHEN path OPERATOR(pg_catalog.<>) '' THEN path END, 'pg_temp')
    ELSE pg_catalog.concat_ws(', ',
      (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(s::pg_catalog.text), ', ' ORDER BY n)
       FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS u (s, n)
       WHERE s::pg_catalog.text OPERATOR(pg_catalog.!~) '^pg_(temp|catalog)'), 'pg_temp')
    END, false) IS NOT NULL THEN 'own'
  END FROM (SELECT path, path OPERATOR(pg_catalog.~) '(^|,) *pg_temp$'
    AND path OPERATOR(pg_catalog.!~) 'pg_catalog|pg_temp.*pg_temp' AS safe
    FROM pg_catalog.current_setting('search_path') AS path) AS of)
