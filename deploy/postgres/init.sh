#!/bin/sh
# The database's roles: DB_OWNER_USER owns what is in it and migrates; DB_USER serves requests, and
# can change rows and nothing else. A new volume gets them once; `make roles` says it again, after a
# password in .env has changed, or where a volume or a backup is of the time when one role was both.
# The passwords are on no command line, which other processes could read.
set -eu

psql --no-psqlrc --set ON_ERROR_STOP=1 --single-transaction --quiet \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv database POSTGRES_DB
\getenv service DB_USER
\getenv password DB_PASSWORD
\getenv owner DB_OWNER_USER
\getenv owner_password DB_OWNER_PASSWORD
SET client_min_messages = warning;

SELECT format('CREATE ROLE %I', name)
FROM (VALUES (:'service'), (:'owner')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE :"owner" LOGIN PASSWORD :'owner_password';
ALTER ROLE :"service" LOGIN PASSWORD :'password';
-- To count connections by state, and to list slow statements.
GRANT pg_monitor TO :"service";

REASSIGN OWNED BY :"service" TO :"owner";
ALTER DATABASE :"database" OWNER TO :"owner";

-- Not TRUNCATE: it would pass by what is said of each row that is deleted.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"service";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO :"service";

CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
SQL
