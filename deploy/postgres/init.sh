#!/bin/sh
# The database's roles: DB_OWNER_USER owns what is in it and migrates; DB_USER serves requests, and
# can change rows and nothing else. A new volume gets them once; `make roles` says it again, after a
# password in .env has changed, or where a volume or a backup is of the time when one role was both.
# The passwords are on no command line, which other processes could read, and in no statement that
# the server writes down.
set -eu

psql --no-psqlrc --set ON_ERROR_STOP=1 --single-transaction --quiet \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv database POSTGRES_DB
\getenv service DB_USER
\getenv password DB_PASSWORD
\getenv owner DB_OWNER_USER
\getenv owner_password DB_OWNER_PASSWORD
SET client_min_messages = warning;
\o /dev/null

-- The statements below hold passwords: pg_stat_statements keeps none of this session, the server's
-- log neither, and pg_stat_activity does not show them.
SET pg_stat_statements.track = none;
SET track_activities = off;
SET log_statement = none;
SET log_duration = off;
SET log_min_duration_statement = -1;
SET log_min_duration_sample = -1;
SET log_transaction_sample_rate = 0;
SET log_min_error_statement = panic;
SET password_encryption = 'scram-sha-256';

SELECT format('CREATE ROLE %I', name)
FROM (VALUES (:'service'), (:'owner')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE :"owner" LOGIN PASSWORD :'owner_password';
ALTER ROLE :"service" LOGIN PASSWORD :'password'
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
-- To count connections by state, and to list slow statements; not pg_monitor, which reads every
-- setting and lists the server's files, too.
GRANT pg_read_all_stats TO :"service";
SELECT format('REVOKE %I FROM %I', granted.rolname, :'service')
FROM pg_auth_members
JOIN pg_roles AS granted ON granted.oid = roleid
JOIN pg_roles AS member ON member.oid = pg_auth_members.member
WHERE member.rolname = :'service' AND granted.rolname <> 'pg_read_all_stats'
\gexec

REASSIGN OWNED BY :"service" TO :"owner";
ALTER DATABASE :"database" OWNER TO :"owner";

-- Temporary tables stand before others of their names. A large object is in no table, so that no
-- trigger sees it. scripts/backup.py says the first again of a database that it restores.
REVOKE ALL ON DATABASE :"database" FROM :"service";
REVOKE TEMPORARY, CREATE ON DATABASE :"database" FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC, :"service";
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea)
    FROM PUBLIC;

-- Not TRUNCATE: it would pass by what is said of each row that is deleted.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"service";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO :"service";

-- But what triggers and migrations alone write. As the owner, whose function it is.
SET ROLE :"owner";
SELECT 'SELECT public.medics_keep_rights()'
WHERE to_regprocedure('public.medics_keep_rights()') IS NOT NULL
\gexec
RESET ROLE;

CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
-- An earlier version of this script left passwords there.
SELECT $$
    SELECT pg_stat_statements_reset(userid, dbid, queryid) FROM pg_stat_statements
    WHERE query ~* '^\s*(CREATE|ALTER)\s+(ROLE|USER)\M'
$$ WHERE current_setting('shared_preload_libraries') ~ 'pg_stat_statements'
\gexec
SQL
