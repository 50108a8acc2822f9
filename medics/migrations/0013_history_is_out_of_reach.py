"""The role that serves requests can neither write the history by itself nor have it written elsewhere.

Every function looks for tables, types and operators in named schemas, the temporary one last.
Those that write what triggers alone keep do so as its owner, and nobody else may write there.
"""

from django.db import migrations

NAMED_SCHEMAS = "SET search_path = pg_catalog, public, pg_temp"

# They write the tables of KEEP_RIGHTS.
OF_THE_OWNER = (
    "medics_record_referral_status()",
    "medics_record_test_status()",
    "medics_record_creation()",
    "medics_record_change()",
    "medics_record_deletion()",
    "medics_count_on_insert()",
    "medics_count_on_delete()",
    "medics_count_on_update()",
    "medics_count_nothing()",
    "medics_record_catalogue_change()",
)

OF_WHO_CALLS = (
    "medics_refuse(text, text)",
    "medics_facility_is_fixed()",
    "medics_test_keeps_its_facility()",
    "medics_referral_keeps_its_facility()",
    "medics_test_belongs_to_facility()",
    "medics_one_facility_per_person()",
    "medics_fold_counts(bigint[], uuid[])",
    "medics_fold_all_counts()",
    "medics_take_patient_name()",
    "medics_pass_patient_name_on()",
    "medics_keep_test_ids()",
    "medics_take_test_ids(text[])",
    "medics_take_test_ids_on_insert()",
    "medics_take_test_ids_on_delete()",
    "medics_take_test_ids_on_update()",
    "medics_keep_history()",
)


def each(functions: tuple[str, ...], command: str) -> str:
    """The command, with %s for the function; where another version of a rule does without it, none."""
    return "".join(
        f"""
DO $$ BEGIN
    IF to_regprocedure('public.{function}') IS NOT NULL THEN
        {command.replace("%s", f"FUNCTION public.{function}")};
    END IF;
END $$;
"""
        for function in functions
    )


# Their bodies are bound when they are made, so that they need no search_path, with which they would
# not be inlined.
ORIGIN = """
CREATE OR REPLACE FUNCTION medics_changed_by() RETURNS uuid LANGUAGE sql STABLE
    RETURN nullif(current_setting('tetradx.user_id', true), '')::uuid;

CREATE OR REPLACE FUNCTION medics_request_id() RETURNS text LANGUAGE sql STABLE
    RETURN coalesce(current_setting('tetradx.request_id', true), '');
"""

ORIGIN_OF_BEFORE = """
CREATE OR REPLACE FUNCTION medics_changed_by() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('tetradx.user_id', true), '')::uuid
$$;

CREATE OR REPLACE FUNCTION medics_request_id() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('tetradx.request_id', true), '')
$$;
"""

# current_user is the owner in a function of the owner's.
FORGET = """
CREATE FUNCTION medics_role() RETURNS name LANGUAGE sql STABLE
    RETURN CASE current_setting('role')
        WHEN 'none' THEN session_user ELSE current_setting('role')::name END;

CREATE OR REPLACE FUNCTION medics_may_forget(relation oid) RETURNS boolean LANGUAGE sql STABLE
    RETURN coalesce(current_setting('tetradx.forgetting', true), '') = 'on' AND pg_has_role(
        medics_role(), (SELECT relowner FROM pg_class WHERE pg_class.oid = relation), 'USAGE');
"""

FORGET_OF_BEFORE = """
CREATE OR REPLACE FUNCTION medics_may_forget(relation oid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('tetradx.forgetting', true), '') = 'on'
        AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = relation), 'USAGE')
$$;
DROP FUNCTION medics_role;
"""

# The lines that no trigger writes. An export is made by whoever serves, and so is its line; what
# was removed is told by the owner alone.
WRITE_DOWN = f"""
CREATE FUNCTION medics_write_down(
    done text, by_user uuid, request text, of_table text, of_row text, told jsonb
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER {NAMED_SCHEMAS} AS $$
BEGIN
    IF done <> 'exported' AND NOT pg_has_role(medics_role(), current_user, 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'only the owner of the history writes down what was ' || done;
    END IF;
    INSERT INTO medics_change (changed_at, changed_by_id, request_id, action, row_table, row_id,
                               subject_table, subject_id, new)
        VALUES (clock_timestamp(), by_user, request, done, of_table, of_row, of_table, of_row, told);
END $$;
"""

# What triggers write, and what migrations do: whoever could write the latter could keep a migration
# from being made, or give a permission another meaning. The sequences go with their tables.
# deploy/postgres/init.sh calls it, too, after it has granted all tables.
KEEP_RIGHTS = f"""
CREATE FUNCTION medics_keep_rights() RETURNS void LANGUAGE plpgsql {NAMED_SCHEMAS} AS $$
DECLARE
    kept record;
BEGIN
    FOR kept IN
        WITH tables AS (
            SELECT unnest('{{
                medics_change, medics_statuschange, medics_history,
                medics_referralcount, medics_cataloguechange,
                django_migrations, django_content_type, auth_permission
            }}'::regclass[]) AS id
        ), relations AS (
            SELECT id FROM tables
            UNION ALL
            SELECT objid FROM tables JOIN pg_depend ON refobjid = id
            WHERE refclassid = 'pg_class'::regclass AND classid = 'pg_class'::regclass
                AND deptype IN ('a', 'i')
        )
        SELECT DISTINCT relation.oid::regclass AS name, relkind = 'S' AS is_sequence,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee
        FROM relations JOIN pg_class relation ON relation.oid = id, aclexplode(relacl)
        WHERE relkind IN ('r', 'v', 'S') AND grantee <> relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', kept.name, kept.grantee);
        -- The view shows what stands there; a sequence serves who inserts.
        IF NOT kept.is_sequence AND kept.name <> 'medics_change'::regclass THEN
            EXECUTE format('GRANT SELECT ON %s TO %s', kept.name, kept.grantee);
        END IF;
    END LOOP;
END $$;

SELECT medics_keep_rights();
"""

# To whoever may read what the triggers keep, as init.sh had granted it.
RIGHTS_OF_BEFORE = """
DROP FUNCTION medics_keep_rights;

DO $$
DECLARE
    service text;
BEGIN
    FOR service IN
        SELECT DISTINCT grantee::regrole::text FROM pg_class, aclexplode(relacl)
        WHERE oid = 'public.medics_statuschange'::regclass AND grantee NOT IN (0, relowner)
    LOOP
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON medics_change, medics_statuschange,'
            ' medics_history, medics_referralcount, medics_cataloguechange, django_migrations,'
            ' django_content_type, auth_permission TO %s', service);
        EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO %s', service);
    END LOOP;
END $$;
"""

RECORD = """
CREATE OR REPLACE FUNCTION medics_record_creation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO medics_change (changed_at, changed_by_id, request_id, action, row_table, row_id,
                               subject_table, subject_id, new)
    SELECT clock_timestamp(), medics_changed_by(), medics_request_id(), 'created',
        TG_TABLE_NAME, made ->> 'id', TG_ARGV[0], made ->> TG_ARGV[1],
        (SELECT jsonb_object_agg(name, made -> name) FROM unnest(TG_ARGV[2]::text[]) AS name
         WHERE name NOT IN ('password', 'key'))
    FROM (SELECT to_jsonb(come) AS made FROM come) AS rows_made;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION medics_record_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was jsonb = to_jsonb(OLD);
    became jsonb = to_jsonb(NEW);
    changed_from jsonb;
    changed_to jsonb;
    secret text;
BEGIN
    SELECT jsonb_object_agg(name, was -> name), jsonb_object_agg(name, became -> name)
        INTO changed_from, changed_to
        FROM unnest(TG_ARGV[2]::text[]) AS name WHERE was -> name <> became -> name;
    FOREACH secret IN ARRAY '{password,key}'::text[] LOOP
        IF changed_to ? secret THEN
            changed_from = changed_from - secret;
            changed_to = changed_to || jsonb_build_object(secret, 'changed');
        END IF;
    END LOOP;
    INSERT INTO medics_change (changed_at, changed_by_id, request_id, action, row_table, row_id,
                               subject_table, subject_id, old, new)
        VALUES (clock_timestamp(), medics_changed_by(), medics_request_id(), 'changed',
                TG_TABLE_NAME, was ->> 'id', TG_ARGV[0], was ->> TG_ARGV[1],
                changed_from, changed_to);
    RETURN NULL;
END $$;
"""

RECORD_OF_BEFORE = """
CREATE OR REPLACE FUNCTION medics_record_creation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO medics_change (changed_at, changed_by_id, request_id, action, row_table, row_id,
                               subject_table, subject_id, new)
    SELECT clock_timestamp(), medics_changed_by(), medics_request_id(), 'created',
        TG_TABLE_NAME, made ->> 'id', TG_ARGV[0], made ->> TG_ARGV[1],
        (SELECT jsonb_object_agg(name, made -> name) FROM unnest(TG_ARGV[2]::text[]) AS name
         WHERE name <> 'password')
    FROM (SELECT to_jsonb(come) AS made FROM come) AS rows_made;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION medics_record_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was jsonb = to_jsonb(OLD);
    became jsonb = to_jsonb(NEW);
    changed_from jsonb;
    changed_to jsonb;
BEGIN
    SELECT jsonb_object_agg(name, was -> name), jsonb_object_agg(name, became -> name)
        INTO changed_from, changed_to
        FROM unnest(TG_ARGV[2]::text[]) AS name WHERE was -> name <> became -> name;
    IF changed_to ? 'password' THEN
        changed_from = changed_from - 'password';
        changed_to = changed_to || '{"password": "changed"}';
    END IF;
    INSERT INTO medics_change (changed_at, changed_by_id, request_id, action, row_table, row_id,
                               subject_table, subject_id, old, new)
        VALUES (clock_timestamp(), medics_changed_by(), medics_request_id(), 'changed',
                TG_TABLE_NAME, was ->> 'id', TG_ARGV[0], was ->> TG_ARGV[1],
                changed_from, changed_to);
    RETURN NULL;
END $$;
"""


def record_changes_of_an_app(columns: str) -> str:
    """Of the apps that show codes, whose secret opens an account, too."""
    differ = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in columns.split(","))
    return f"""
CREATE OR REPLACE TRIGGER record_change AFTER UPDATE ON otp_totp_totpdevice FOR EACH ROW
    WHEN ({differ})
    EXECUTE FUNCTION medics_record_change('authentication_user', 'user_id', '{{{columns}}}');
"""


# The history tells of a row by its id; who changed that could pass one's rights to another.
RECORDED = (
    "authentication_user",
    "authentication_user_groups",
    "authentication_user_user_permissions",
    "otp_totp_totpdevice",
    "auth_group",
    "auth_group_permissions",
    "medics_facility",
    "medics_facilitybranch",
    "medics_branchtechnician",
    "medics_testtype",
    "medics_test",
    "medics_patient",
    "medics_referral",
    "medics_referraltest",
)

IDS = f"""
CREATE FUNCTION medics_id_is_fixed() RETURNS trigger LANGUAGE plpgsql {NAMED_SCHEMAS} AS $$
BEGIN
    PERFORM medics_refuse('id_is_fixed', 'an id of ' || TG_TABLE_NAME || ' cannot change');
    RETURN NULL;
END $$;
""" + "".join(
    f"""
CREATE TRIGGER id_is_fixed BEFORE UPDATE OF id ON {table}
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION medics_id_is_fixed();
"""
    for table in RECORDED
)

DO = "\n".join(
    [
        ORIGIN,
        FORGET,
        RECORD,
        record_changes_of_an_app("user_id,confirmed,key"),
        each(OF_WHO_CALLS, f"ALTER %s {NAMED_SCHEMAS}"),
        each(OF_THE_OWNER, f"ALTER %s SECURITY DEFINER {NAMED_SCHEMAS}"),
        # From a trigger of a table of his own, whoever may call them could write what he likes.
        each(OF_THE_OWNER, "REVOKE ALL ON %s FROM PUBLIC"),
        WRITE_DOWN,
        IDS,
        KEEP_RIGHTS,
    ]
)

UNDO = "\n".join(
    [
        RIGHTS_OF_BEFORE,
        "DROP FUNCTION medics_id_is_fixed CASCADE;",
        "DROP FUNCTION medics_write_down;",
        each(OF_THE_OWNER, "GRANT EXECUTE ON %s TO PUBLIC"),
        each(OF_THE_OWNER, "ALTER %s SECURITY INVOKER RESET search_path"),
        each(OF_WHO_CALLS, "ALTER %s RESET search_path"),
        record_changes_of_an_app("user_id,confirmed"),
        RECORD_OF_BEFORE,
        FORGET_OF_BEFORE,
        ORIGIN_OF_BEFORE,
    ]
)


class Migration(migrations.Migration):
    dependencies = [
        ("authentication", "0006_functions_name_their_schemas"),
        ("medics", "0011_patients_are_corrected"),
    ]

    operations = [migrations.RunSQL(DO, UNDO)]
