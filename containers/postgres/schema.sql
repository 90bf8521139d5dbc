-- What the services keep in the database `local`, and what each may do there. Run by the superuser at every start,
-- before anybody can connect: what is there stays, and what was dropped comes back. Without Docker that is
-- `postgres --single -j`, where a statement ends with a semicolon and an empty line.

DO $$
BEGIN
  CREATE ROLE api;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

DO $$
BEGIN
  CREATE ROLE page;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

-- The API: may insert into two tables, and nothing else.
ALTER ROLE api LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 32;

ALTER ROLE api SET statement_timeout = '10s';

-- The page: may read every table.
ALTER ROLE page LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 32;

ALTER ROLE page SET default_transaction_read_only = on;

ALTER ROLE page SET statement_timeout = '5s';

GRANT pg_read_all_data TO page;

REVOKE TEMPORARY ON DATABASE local FROM PUBLIC;

GRANT TEMPORARY ON DATABASE local TO local;

-- Anybody could fill the disk with large objects; read-only transactions are only a default.
REVOKE EXECUTE ON FUNCTION pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid),
  pg_catalog.lo_from_bytea(oid, bytea) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid),
  pg_catalog.lo_from_bytea(oid, bytea) TO local;

-- From here on with the powers of `local` only: what it has put into its schema must not run as the superuser.
SET SESSION AUTHORIZATION local;

CREATE SCHEMA IF NOT EXISTS public;

SET search_path = public;

GRANT USAGE ON SCHEMA public TO PUBLIC;

CREATE TABLE IF NOT EXISTS predictions (
  id uuid PRIMARY KEY, -- version 7: ordered by time
  at timestamptz NOT NULL,
  request_id text NOT NULL,
  model_version text NOT NULL,
  row jsonb NOT NULL,
  prediction jsonb NOT NULL,
  probabilities jsonb,
  warnings jsonb NOT NULL
);

CREATE INDEX IF NOT EXISTS predictions_model_version_at ON predictions (model_version, at);

COMMENT ON TABLE predictions IS 'Every answer of the API: a row for each row that was sent.';

CREATE TABLE IF NOT EXISTS model_profiles (
  model_version text,
  position integer NOT NULL,
  "column" text,
  profile jsonb NOT NULL,
  PRIMARY KEY (model_version, "column")
);

COMMENT ON TABLE model_profiles IS 'How the values of each column were spread in training, by model: shares of all rows.';

GRANT INSERT ON predictions, model_profiles TO api;

CREATE OR REPLACE VIEW predictions_daily AS
SELECT
  (at AT TIME ZONE 'UTC')::date AS day,
  model_version,
  count(*) AS predictions,
  count(*) FILTER (WHERE warnings <> '[]') AS with_warnings
FROM predictions
GROUP BY 1, 2;

COMMENT ON VIEW predictions_daily IS 'Predictions by day (UTC) and model.';

CREATE OR REPLACE VIEW drift AS
WITH trained AS (
  -- A column's bins: 0 is missing; 1 to `size` are the intervals between its edges, the outer two without end, or its
  -- values; the last is for what has no bin of its own: rare and unseen values, or any other than a constant column's.
  SELECT
    model_version,
    "column",
    CASE
      WHEN profile ? 'values' THEN 'value'
      WHEN jsonb_typeof(profile #> '{edges,0}') = 'number' THEN 'number'
      WHEN profile ? 'edges' THEN 'time'
      ELSE 'text'
    END AS kind,
    coalesce(jsonb_array_length(profile -> 'shares'), 1) AS size,
    ARRAY(SELECT jsonb_array_elements_text(profile -> 'values')) AS known,
    ARRAY(
      SELECT CASE jsonb_typeof(edge)
        WHEN 'number' THEN edge::numeric
        ELSE extract(epoch FROM (edge #>> '{}')::timestamp)
      END
      FROM jsonb_array_elements(profile -> 'edges') AS edge
    ) AS edges,
    (profile ->> 'missing')::float8
      || CASE
        WHEN profile ? 'shares' THEN ARRAY(SELECT jsonb_array_elements(profile -> 'shares')::float8)
        ELSE ARRAY[1 - (profile ->> 'missing')::float8]
      END
      || coalesce((profile ->> 'other')::float8, 0) AS shares
  FROM model_profiles
),

answered AS (
  SELECT known.model_version, recent.row
  FROM (SELECT DISTINCT model_version FROM model_profiles) AS known
  CROSS JOIN LATERAL (
    SELECT predictions.row
    FROM predictions
    WHERE predictions.model_version = known.model_version AND predictions.at > now() - interval '7 days'
    ORDER BY predictions.at DESC
    LIMIT 10000
  ) AS recent
),

counted AS (
  SELECT
    model_version,
    "column",
    CASE
      WHEN value IS NULL OR value = 'null' THEN 0
      WHEN kind = 'text' THEN 1
      WHEN kind = 'value' THEN coalesce(array_position(known, value #>> '{}'), size + 1)
      WHEN edges[1] = edges[2] THEN CASE WHEN place = edges[1] THEN 1 ELSE 2 END
      ELSE coalesce(1 + width_bucket(place, edges[2:size]), size + 1)
    END AS bin,
    count(*) AS rows
  FROM answered
  JOIN trained USING (model_version)
  CROSS JOIN LATERAL (SELECT answered.row -> "column" AS value) AS sent
  CROSS JOIN LATERAL (
    SELECT CASE
      WHEN kind = 'number' AND jsonb_typeof(value) = 'number' THEN value::numeric
      WHEN kind = 'time' AND pg_input_is_valid(value #>> '{}', 'timestamp')
        THEN extract(epoch FROM (value #>> '{}')::timestamp)
    END AS place
  ) AS placed
  GROUP BY 1, 2, 3
),

compared AS (
  SELECT
    model_version,
    "column",
    sum(rows) OVER (PARTITION BY model_version, "column") AS rows,
    greatest(share, 1e-4) AS expected,
    greatest(coalesce(rows, 0) / sum(rows) OVER (PARTITION BY model_version, "column"), 1e-4)::float8 AS actual
  FROM trained
  CROSS JOIN LATERAL (SELECT share, ordinal - 1 AS bin FROM unnest(shares) WITH ORDINALITY AS a (share, ordinal)) AS bins
  LEFT JOIN counted USING (model_version, "column", bin)
)

SELECT model_version, "column", rows::bigint AS rows, sum((actual - expected) * ln(actual / expected)) AS psi
FROM compared
WHERE rows > 0
GROUP BY 1, 2, 3;

COMMENT ON VIEW drift IS
'How far each column of the last 10,000 rows within 7 days, by model, is from the training data: the population
stability index, the sum over bins of (actual - expected) * ln(actual / expected), both as shares of all rows, at least
0.0001 (N. Siddiqi, Credit Risk Scorecards, 2006). Rule of thumb: under 0.1 stable, over 0.25 another population.';
