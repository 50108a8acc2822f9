"""A referral keeps the patient's name or id as its author wrote it, and names are one by one rule.

What the version before reads stays right until it is gone: patient_name_upper, which a trigger
goes on to keep, and the patient's name_key with its index, which PostgreSQL generates. The next
release drops both columns.
"""

from django.db import migrations, models

import _tetradx.values.names

# A referral that comes without a name has its patient's. `also_named` has all that the patient's
# referrals call her by and the patient is not called, so that whoever searches among the patients
# first misses none of them; parted by a character that no name holds. The lock keeps retention from
# removing the patient until the referral is there.
NAMES = """
CREATE OR REPLACE FUNCTION medics_take_patient_name() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    of_patient text;
    known text;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.patient_name_or_id = '' THEN
        NEW.patient_name_or_id = OLD.patient_name_or_id;
    END IF;
    SELECT full_name_or_id, full_name_or_id || also_named INTO of_patient, known
        FROM public.medics_patient WHERE id = NEW.patient_id FOR KEY SHARE;
    IF NEW.patient_name_or_id = '' THEN
        NEW.patient_name_or_id = coalesce(of_patient, '');
    END IF;
    NEW.patient_name_folded = public.tetradx_fold(NEW.patient_name_or_id);
    NEW.patient_name_upper = upper(NEW.patient_name_or_id);
    IF known <> NEW.patient_name_or_id AND position(
        public.tetradx_name_key(NEW.patient_name_or_id) IN public.tetradx_name_key(known)
    ) = 0 THEN
        UPDATE public.medics_patient SET also_named = also_named || U&'\\001F' || NEW.patient_name_or_id
            WHERE id = NEW.patient_id;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER take_patient_name
    BEFORE INSERT OR UPDATE OF patient_id, patient_name_or_id, patient_name_folded,
        patient_name_upper
    ON medics_referral FOR EACH ROW EXECUTE FUNCTION medics_take_patient_name();

CREATE FUNCTION medics_keep_former_names() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT starts_with(NEW.also_named, OLD.also_named) THEN
        NEW.also_named = OLD.also_named;
    END IF;
    IF position(
        public.tetradx_name_key(OLD.full_name_or_id)
        IN public.tetradx_name_key(NEW.full_name_or_id || NEW.also_named)
    ) = 0 THEN
        NEW.also_named = NEW.also_named || U&'\\001F' || OLD.full_name_or_id;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER keep_former_names BEFORE UPDATE OF full_name_or_id, also_named ON medics_patient
    FOR EACH ROW EXECUTE FUNCTION medics_keep_former_names();

DROP TRIGGER pass_patient_name_on ON medics_patient;
DROP FUNCTION medics_pass_patient_name_on;
"""

NAMES_OF_BEFORE = """
DROP FUNCTION medics_keep_former_names CASCADE;

CREATE OR REPLACE FUNCTION medics_take_patient_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT upper(full_name_or_id) INTO NEW.patient_name_upper
        FROM medics_patient WHERE id = NEW.patient_id FOR SHARE;
    NEW.patient_name_upper = coalesce(NEW.patient_name_upper, '');
    RETURN NEW;
END $$;
ALTER FUNCTION medics_take_patient_name() RESET ALL;

CREATE OR REPLACE TRIGGER take_patient_name BEFORE INSERT OR UPDATE OF patient_id, patient_name_upper
    ON medics_referral FOR EACH ROW EXECUTE FUNCTION medics_take_patient_name();

CREATE FUNCTION medics_pass_patient_name_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE medics_referral SET patient_name_upper = upper(NEW.full_name_or_id)
        WHERE patient_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER pass_patient_name_on AFTER UPDATE OF full_name_or_id ON medics_patient
    FOR EACH ROW WHEN (OLD.full_name_or_id <> NEW.full_name_or_id)
    EXECUTE FUNCTION medics_pass_patient_name_on();

UPDATE medics_referral SET patient_name_upper = '';
"""


class Migration(migrations.Migration):
    dependencies = [
        ("authentication", "0004_names"),
        ("medics", "0008_history_is_searched"),
    ]

    operations = [
        migrations.AddField(
            model_name="referral",
            name="patient_name_or_id",
            field=_tetradx.values.names.NameField(
                blank=True,
                db_default="",
                default="",
                help_text=(
                    "As this referral's author wrote it; the patient's own where that is left out."
                ),
                max_length=255,
                verbose_name="patient as written",
            ),
        ),
        migrations.AddField(
            model_name="referral",
            name="patient_name_folded",
            field=models.TextField(db_default="", editable=False),
        ),
        migrations.AddField(
            model_name="patient",
            name="also_named",
            field=models.TextField(db_default="", editable=False),
        ),
        migrations.RunSQL(NAMES, NAMES_OF_BEFORE),
        *(
            migrations.AlterField(
                model_name=model,
                name="name",
                field=_tetradx.values.names.NameField(max_length=255),
            )
            for model in ("facility", "facilitybranch", "testtype", "test")
        ),
        migrations.AlterField(
            model_name="patient",
            name="full_name_or_id",
            field=_tetradx.values.names.NameField(max_length=255, verbose_name="name or id"),
        ),
    ]
