"""The catalogue's version, moved by every change of what the public lists show."""

from django.db import migrations

TABLES = ("medics_facility", "medics_facilitybranch", "medics_testtype", "medics_test")

# One of so many changes also folds the rows into one.
FOLD_ONE_IN = 40

CHANGES = f"""
CREATE FUNCTION medics_record_catalogue_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO medics_cataloguechange (number, changed_at) VALUES (1, clock_timestamp());
    IF random() < 1.0 / {FOLD_ONE_IN} THEN
        WITH folded AS (
            DELETE FROM medics_cataloguechange WHERE id IN (
                SELECT id FROM medics_cataloguechange FOR UPDATE SKIP LOCKED
            )
            RETURNING number, changed_at
        )
        INSERT INTO medics_cataloguechange (number, changed_at)
        SELECT sum(number), max(changed_at) FROM folded HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
""" + "".join(
    f"""
CREATE TRIGGER record_catalogue_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION medics_record_catalogue_change();
"""
    for table in TABLES
)

UNDO = "DROP FUNCTION medics_record_catalogue_change CASCADE"


class Migration(migrations.Migration):
    dependencies = [("medics", "0004_lists_are_kept")]

    operations = [migrations.RunSQL(CHANGES, UNDO)]
