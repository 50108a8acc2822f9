"""A phone number whose key was not changed with it is refused, for whoever changes it past Django.

The key is derived in Python, so the database cannot tell whether one is right; but it can tell
whether a statement named it. One that names the number alone is refused; one that names both
passes, also where another spelling leaves the key as it was. Told by triggers in the order of their
names: the first marks a key that stayed as it was, the second runs only where the statement names
the key and takes the mark away, and the third refuses what is still marked.
"""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION authentication_doubt_key() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[0], chr(1)));
END $$;

CREATE FUNCTION authentication_trust_key() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[0], to_jsonb(OLD) -> TG_ARGV[0]));
END $$;

CREATE FUNCTION authentication_refuse_doubtful_key() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation', CONSTRAINT = 'key_follows_number', TABLE = TG_TABLE_NAME,
        MESSAGE = TG_ARGV[0] || ' must be changed in the same statement as the number it is of',
        HINT = 'Use the admin site or a command of manage.py, which derive it.';
END $$;
"""


def key_follows_number(table: str, number: str, key: str) -> str:
    return f"""
CREATE TRIGGER key_follows_number_1_doubt BEFORE UPDATE OF {number} ON {table}
    FOR EACH ROW WHEN (OLD.{number} <> NEW.{number} AND OLD.{key} = NEW.{key})
    EXECUTE FUNCTION authentication_doubt_key('{key}');

CREATE TRIGGER key_follows_number_2_trust BEFORE UPDATE OF {key} ON {table}
    FOR EACH ROW WHEN (NEW.{key} = chr(1)) EXECUTE FUNCTION authentication_trust_key('{key}');

CREATE TRIGGER key_follows_number_3_refuse BEFORE UPDATE ON {table}
    FOR EACH ROW WHEN (NEW.{key} = chr(1))
    EXECUTE FUNCTION authentication_refuse_doubtful_key('{key}');
"""


UNDO = """
DROP FUNCTION authentication_refuse_doubtful_key CASCADE;
DROP FUNCTION authentication_trust_key CASCADE;
DROP FUNCTION authentication_doubt_key CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("authentication", "0004_names")]

    operations = [
        migrations.RunSQL(
            FUNCTIONS + key_follows_number("authentication_user", "phone_number", "phone_key"),
            UNDO,
        )
    ]
