"""Fills in the names of the referrals that are there, and makes the indexes by the one rule.

In batches, and concurrently, so that the service goes on meanwhile. Can be run again where it was
interrupted.
"""

import django.contrib.postgres.indexes
from django.db import migrations, models

import _tetradx.values.folding

BATCH = 5_000

FILL = f"""
WITH batch AS (
    SELECT id FROM medics_referral WHERE id > %s ORDER BY id LIMIT {BATCH}
), filled AS (
    UPDATE medics_referral referral SET patient_name_or_id = ''
    FROM batch WHERE referral.id = batch.id AND patient_name_or_id = ''
)
SELECT max(id) FROM batch
"""


def fill_in_names(apps, schema_editor):
    last = ""
    with schema_editor.connection.cursor() as cursor:
        while last is not None:
            cursor.execute(FILL, [last])
            [(last,)] = cursor.fetchall()


def mend_names_that_are_one(table: str, parent: str) -> str:
    """Of two rows of one parent that the rule takes for one, the later gets its id added."""
    return f"""
        UPDATE {table} AS later SET name = left(name, 230) || ' (' || id || ')'
        WHERE EXISTS (
            SELECT FROM {table} AS earlier
            WHERE earlier.{parent} = later.{parent} AND earlier.id < later.id
                AND tetradx_fold(earlier.name) = tetradx_fold(later.name)
        )
    """


def unique_names(table: str, parent: str, index: str) -> list[str]:
    return [
        f"DROP INDEX CONCURRENTLY IF EXISTS {index}_anew",
        mend_names_that_are_one(table, parent),
        f"CREATE UNIQUE INDEX CONCURRENTLY {index}_anew ON {table} ({parent}, tetradx_fold(name))",
        f"DROP INDEX CONCURRENTLY {index}",
        f"ALTER INDEX {index}_anew RENAME TO {index}",
    ]


def lower_names(table: str, parent: str, index: str) -> list[str]:
    return [
        f"DROP INDEX CONCURRENTLY {index}",
        f"CREATE UNIQUE INDEX CONCURRENTLY {index} ON {table} ({parent}, lower(name))",
    ]


LIST_INDEXES = {
    "list_of_practitioner": (
        "referred_by_id, referred_at DESC, id DESC",
        "status, facility_branch_id, {name}, test_ids",
    ),
    "list_of_branch": (
        "facility_branch_id, referred_at DESC, id DESC",
        "status, referred_by_id, {name}, test_ids",
    ),
    "referrals_of_patient": (
        "patient_id",
        "id, referred_at, status, facility_branch_id, referred_by_id{name}",
    ),
}


def list_indexes(**name_of: str) -> list[str]:
    """Made anew under their names, with other columns of the name in them."""
    return [
        statement
        for index, (keys, included) in LIST_INDEXES.items()
        for statement in (
            f"DROP INDEX CONCURRENTLY IF EXISTS {index}_anew",
            f"CREATE INDEX CONCURRENTLY {index}_anew ON medics_referral ({keys})"
            f" INCLUDE ({included.format(name=name_of.get(index, name_of['lists']))})",
            f"DROP INDEX CONCURRENTLY IF EXISTS {index}",
            f"ALTER INDEX {index}_anew RENAME TO {index}",
        )
    ]


# With the name as it was written among what the history tells.
TOLD = [
    "facility_branch_id",
    "patient_id",
    "patient_name_or_id",
    "clinical_notes",
    "referred_by_id",
    "referred_at",
    "test_ids",
]
TOLD_BEFORE = [name for name in TOLD if name != "patient_name_or_id"]


def record_changes(told: list[str]) -> str:
    differ = " OR ".join(
        "OLD.test_ids <> NEW.test_ids AND OLD.test_ids <> '{}'"
        if name == "test_ids"
        else f"OLD.{name} IS DISTINCT FROM NEW.{name}"
        for name in told
    )
    arguments = f"'medics_referral', 'id', '{{{','.join(told)}}}'"
    return f"""
        CREATE OR REPLACE TRIGGER record_change AFTER UPDATE ON medics_referral
            FOR EACH ROW WHEN ({differ}) EXECUTE FUNCTION medics_record_change({arguments})
    """


UNIQUE = {
    "facilitybranch": (
        "facility",
        "unique_branch_name_in_facility",
        "A branch with this name already exists in this facility.",
    ),
    "testtype": (
        "facility",
        "unique_test_type_name_in_facility",
        "A test type with this name already exists for this facility.",
    ),
    "test": (
        "test_type",
        "unique_test_name_in_type",
        "A test with this name already exists in this type.",
    ),
}


def unique_by_fold(model: str, parent: str, name: str, message: str):
    return migrations.SeparateDatabaseAndState(
        database_operations=[
            migrations.RunSQL(
                unique_names(f"medics_{model}", f"{parent}_id", name),
                lower_names(f"medics_{model}", f"{parent}_id", name),
            )
        ],
        state_operations=[
            migrations.RemoveConstraint(model, name),
            migrations.AddConstraint(
                model,
                models.UniqueConstraint(
                    parent,
                    _tetradx.values.folding.Fold("name"),
                    name=name,
                    violation_error_message=message,
                ),
            ),
        ],
    )


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("medics", "0009_names")]

    operations = [
        migrations.RunPython(fill_in_names, migrations.RunPython.noop),
        migrations.RunSQL(record_changes(TOLD), record_changes(TOLD_BEFORE)),
        *(unique_by_fold(model, *of) for model, of in UNIQUE.items()),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    list_indexes(
                        lists="patient_name_folded", referrals_of_patient=", patient_name_folded"
                    ),
                    list_indexes(lists="patient_name_upper", referrals_of_patient=""),
                ),
                migrations.RunSQL(
                    [
                        "DROP INDEX CONCURRENTLY IF EXISTS patients_by_key",
                        "CREATE INDEX CONCURRENTLY patients_by_key ON medics_patient"
                        " (tetradx_name_key(full_name_or_id), contact_key)",
                        "DROP INDEX CONCURRENTLY IF EXISTS patient_names_trigrams",
                        "CREATE INDEX CONCURRENTLY patient_names_trigrams ON medics_patient"
                        " USING gin (tetradx_name_key(full_name_or_id || also_named) gin_trgm_ops)",
                        "DROP INDEX CONCURRENTLY IF EXISTS patient_name_trigrams",
                    ],
                    [
                        "CREATE INDEX CONCURRENTLY patient_name_trigrams ON medics_patient"
                        " USING gin (upper(full_name_or_id) gin_trgm_ops)",
                        "DROP INDEX CONCURRENTLY patients_by_key",
                        "DROP INDEX CONCURRENTLY patient_names_trigrams",
                    ],
                ),
            ],
            state_operations=[
                *(migrations.RemoveIndex("referral", name) for name in LIST_INDEXES),
                migrations.RemoveField("referral", "patient_name_upper"),
                migrations.AddIndex(
                    "referral",
                    models.Index(
                        fields=["referred_by", "-referred_at", "-id"],
                        include=("status", "facility_branch", "patient_name_folded", "test_ids"),
                        name="list_of_practitioner",
                    ),
                ),
                migrations.AddIndex(
                    "referral",
                    models.Index(
                        fields=["facility_branch", "-referred_at", "-id"],
                        include=("status", "referred_by", "patient_name_folded", "test_ids"),
                        name="list_of_branch",
                    ),
                ),
                migrations.AddIndex(
                    "referral",
                    models.Index(
                        fields=["patient"],
                        include=(
                            *("id", "referred_at", "status", "facility_branch", "referred_by"),
                            "patient_name_folded",
                        ),
                        name="referrals_of_patient",
                    ),
                ),
                migrations.RemoveIndex("patient", "patient_keys"),
                migrations.RemoveIndex("patient", "patient_name_trigrams"),
                migrations.RemoveField("patient", "name_key"),
                migrations.AddIndex(
                    "patient",
                    models.Index(
                        _tetradx.values.folding.NameKey("full_name_or_id"),
                        models.F("contact_key"),
                        name="patients_by_key",
                    ),
                ),
                migrations.AddIndex(
                    "patient",
                    django.contrib.postgres.indexes.GinIndex(
                        django.contrib.postgres.indexes.OpClass(
                            _tetradx.values.folding.NamesKey("full_name_or_id", "also_named"),
                            name="gin_trgm_ops",
                        ),
                        name="patient_names_trigrams",
                    ),
                ),
            ],
        ),
    ]
