#!/bin/sh
# What a new volume gets, once: the service's role, which owns its database and nothing else on the
# server, and the statistics of statements. The password is on no command line, which other
# processes could read.
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --quiet <<'SQL'
\getenv password DB_PASSWORD
CREATE ROLE tetradx LOGIN PASSWORD :'password';
-- To count connections by state, and to list slow statements.
GRANT pg_monitor TO tetradx;
ALTER DATABASE tetradx OWNER TO tetradx;
CREATE EXTENSION pg_stat_statements;
SQL
