"""The history: who changed what, when and by which request, written and kept by triggers."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Settings of the transaction, which come with the change itself (_tetradx.db.audit_context).
REQUEST = """
CREATE FUNCTION medics_request_id() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('tetradx.request_id', true), '')
$$;
"""

# Only apply_retention asks to forget, and only the table's owner is let: the role that serves
# requests need not own any.
KEEP = """
CREATE FUNCTION medics_may_forget(relation oid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('tetradx.forgetting', true), '') = 'on'
        AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = relation), 'USAGE')
$$;

CREATE FUNCTION medics_keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR NOT medics_may_forget(TG_RELID) THEN
        PERFORM medics_refuse('history_is_kept', TG_TABLE_NAME || ' can only be added to');
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_history BEFORE UPDATE OR DELETE OR TRUNCATE ON medics_change
    FOR EACH STATEMENT EXECUTE FUNCTION medics_keep_history();

CREATE TRIGGER keep_history BEFORE UPDATE OR DELETE OR TRUNCATE ON medics_statuschange
    FOR EACH STATEMENT EXECUTE FUNCTION medics_keep_history();
"""

# The triggers' arguments: the table of what the row belongs to, the column that names it there,
# and the columns that are told. A password's hash is not, only that it was changed; nor is the
# secret of an authenticator app.
RECORD = """
CREATE FUNCTION medics_record_creation() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE FUNCTION medics_record_change() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE FUNCTION medics_record_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was jsonb = to_jsonb(OLD);
BEGIN
    IF NOT medics_may_forget(TG_RELID) THEN
        INSERT INTO medics_change (changed_at, changed_by_id, request_id, action, row_table,
                                   row_id, subject_table, subject_id, old)
            VALUES (clock_timestamp(), medics_changed_by(), medics_request_id(), 'deleted',
                    TG_TABLE_NAME, was ->> 'id', TG_ARGV[0], was ->> TG_ARGV[1],
                    was - '{password,key}'::text[]);
    END IF;
    RETURN NULL;
END $$;
"""

# The ids of a referral's tests are filled in by a trigger where whoever made it did not.
DIFFERS = {"test_ids": "OLD.test_ids <> NEW.test_ids AND OLD.test_ids <> '{}'"}


def record(
    table: str, columns: str, *, of: str = "", by: str = "id", creations: bool = True
) -> str:
    """Triggers that record what happens to the columns of a table's rows.

    A row belongs to that of the table `of` which its column `by` names; by default, to itself.
    """
    told = columns.split()
    arguments = f"'{of or table}', '{by}', '{{{','.join(told)}}}'"
    differ = [DIFFERS.get(name, f"OLD.{name} IS DISTINCT FROM NEW.{name}") for name in told]
    creation = f"""
CREATE TRIGGER record_creation AFTER INSERT ON {table} REFERENCING NEW TABLE AS come
    FOR EACH STATEMENT EXECUTE FUNCTION medics_record_creation({arguments});
"""
    return f"""
{creation if creations else ""}
CREATE TRIGGER record_change AFTER UPDATE ON {table} FOR EACH ROW WHEN ({" OR ".join(differ)})
    EXECUTE FUNCTION medics_record_change({arguments});

CREATE TRIGGER record_deletion AFTER DELETE ON {table} FOR EACH ROW
    EXECUTE FUNCTION medics_record_deletion({arguments});
"""


USER = "authentication_user"

# A referral and its tests say themselves who made them and when. Changes of their status are
# recorded by triggers of their own.
TABLES = [
    record(
        USER,
        "full_name phone_number user_type password must_change_password"
        " is_active is_staff is_superuser",
    ),
    record("authentication_user_groups", "user_id group_id", of=USER, by="user_id"),
    record("authentication_user_user_permissions", "user_id permission_id", of=USER, by="user_id"),
    record("otp_totp_totpdevice", "user_id confirmed", of=USER, by="user_id"),
    record("auth_group", "name"),
    record("auth_group_permissions", "group_id permission_id", of="auth_group", by="group_id"),
    record("medics_facility", "name contact_number admin_id"),
    record(
        "medics_facilitybranch",
        "facility_id name is_active",
        of="medics_facility",
        by="facility_id",
    ),
    record("medics_branchtechnician", "user_id branch_id is_admin", of=USER, by="user_id"),
    record("medics_testtype", "facility_id name description"),
    record("medics_test", "test_type_id name description price"),
    record("medics_patient", "full_name_or_id contact_number"),
    record(
        "medics_referral",
        "facility_branch_id patient_id clinical_notes referred_by_id referred_at test_ids",
        creations=False,
    ),
    record(
        "medics_referraltest",
        "referral_id test_id created_at",
        of="medics_referral",
        by="referral_id",
        creations=False,
    ),
]

STATUSES = """
CREATE OR REPLACE FUNCTION medics_record_referral_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO medics_statuschange
        (referral_id, from_status, to_status, changed_by_id, request_id, changed_at)
        VALUES (NEW.id, OLD.status, NEW.status,
                medics_changed_by(), medics_request_id(), clock_timestamp());
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION medics_record_test_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO medics_statuschange
        (referral_id, referral_test_id, from_status, to_status,
         changed_by_id, request_id, changed_at)
        VALUES (NEW.referral_id, NEW.id, OLD.status, NEW.status,
                medics_changed_by(), medics_request_id(), clock_timestamp());
    RETURN NULL;
END $$;
"""

STATUSES_OF_BEFORE = """
CREATE OR REPLACE FUNCTION medics_record_referral_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO medics_statuschange
        (referral_id, from_status, to_status, changed_by_id, changed_at)
        VALUES (NEW.id, OLD.status, NEW.status, medics_changed_by(), clock_timestamp());
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION medics_record_test_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO medics_statuschange
        (referral_id, referral_test_id, from_status, to_status, changed_by_id, changed_at)
        VALUES (NEW.referral_id, NEW.id, OLD.status, NEW.status,
                medics_changed_by(), clock_timestamp());
    RETURN NULL;
END $$;
"""

# The types are the same on both sides, so that both are read in the order of their indexes.
VIEW = """
CREATE VIEW medics_history AS
SELECT 'c' || id AS id, changed_at, changed_by_id, request_id::text, action::text,
    row_table::text, row_id::text, subject_table::text, subject_id::text, old, new
FROM medics_change
UNION ALL
SELECT 's' || id, changed_at, changed_by_id, request_id::text, 'changed',
    CASE WHEN referral_test_id IS NULL THEN 'medics_referral' ELSE 'medics_referraltest' END,
    coalesce(referral_test_id::text, referral_id), 'medics_referral', referral_id::text,
    jsonb_build_object('status', from_status), jsonb_build_object('status', to_status)
FROM medics_statuschange
"""

UNDO = f"""
DROP VIEW medics_history;
{STATUSES_OF_BEFORE}
DROP FUNCTION medics_record_deletion CASCADE;
DROP FUNCTION medics_record_change CASCADE;
DROP FUNCTION medics_record_creation CASCADE;
DROP FUNCTION medics_keep_history CASCADE;
DROP FUNCTION medics_may_forget CASCADE;
DROP FUNCTION medics_request_id CASCADE;
"""

HISTORY_FIELDS = [
    ("changed_at", models.DateTimeField()),
    (
        "changed_by",
        models.ForeignKey(
            db_constraint=False,
            db_index=False,
            help_text="Empty where nobody was signed in.",
            null=True,
            on_delete=django.db.models.deletion.DO_NOTHING,
            related_name="+",
            to=settings.AUTH_USER_MODEL,
        ),
    ),
    (
        "request_id",
        models.CharField(
            db_default="",
            help_text="The request's, or the command; empty where it was neither.",
            max_length=128,
        ),
    ),
    (
        "action",
        models.CharField(
            choices=[
                ("created", "Created"),
                ("changed", "Changed"),
                ("deleted", "Deleted"),
                ("exported", "Exported"),
                ("removed", "Removed"),
            ],
            max_length=10,
        ),
    ),
    ("row_table", models.CharField(max_length=63)),
    ("row_id", models.CharField(max_length=40)),
    ("subject_table", models.CharField(max_length=63)),
    ("subject_id", models.CharField(max_length=40)),
    ("old", models.JSONField(null=True)),
    ("new", models.JSONField(null=True)),
]


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("authentication", "0003_tries"),
        ("medics", "0006_repeats"),
        ("otp_totp", "0003_add_timestamps"),
    ]

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                *HISTORY_FIELDS,
            ],
            options={
                "indexes": [
                    models.Index(fields=["changed_at"], name="changes_in_time"),
                    models.Index(fields=["subject_id", "subject_table"], name="changes_of_subject"),
                    models.Index(
                        condition=models.Q(("row_table", "medics_facility")),
                        fields=["row_id"],
                        name="changes_of_facilities",
                    ),
                    models.Index(
                        condition=models.Q(("changed_by__isnull", False)),
                        fields=["changed_by"],
                        name="changes_by_user",
                    ),
                    models.Index(
                        condition=models.Q(("request_id", ""), _negated=True),
                        fields=["request_id"],
                        name="changes_by_request",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HistoryEntry",
            fields=[
                ("id", models.CharField(max_length=21, primary_key=True, serialize=False)),
                *HISTORY_FIELDS,
            ],
            options={
                "verbose_name": "change",
                "verbose_name_plural": "history",
                "db_table": "medics_history",
                "managed": False,
            },
        ),
        migrations.AddField(
            model_name="statuschange",
            name="request_id",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text="The request's, or the command; empty where it was neither.",
                max_length=128,
            ),
        ),
        migrations.AlterField(
            model_name="statuschange",
            name="changed_by",
            field=models.ForeignKey(
                blank=True,
                help_text="Empty where nobody was signed in.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunSQL("\n".join([REQUEST, KEEP, RECORD, *TABLES, STATUSES, VIEW]), UNDO),
    ]
