"""What the lists read, kept by triggers for every path into the database.

The counts of referrals (medics.models.ReferralCount), and the two columns of a referral that the
search reads: its patient's name in upper case and the ids of its tests.
"""

from django.db import migrations

# One of so many changes also folds the rows of the branch and the practitioner that it touched.
FOLD_ONE_IN = 40

FOLD = """
CREATE FUNCTION medics_fold_counts(branches bigint[], practitioners uuid[]) RETURNS void
LANGUAGE sql AS $$
    -- Rows that somebody else is folding are left to them; those of others' open transactions are
    -- not seen. What is deleted and what is inserted is one statement, so the sums never differ.
    WITH folded AS (
        DELETE FROM medics_referralcount WHERE id IN (
            SELECT id FROM medics_referralcount
            WHERE branch_id = ANY (branches) OR practitioner_id = ANY (practitioners)
            FOR UPDATE SKIP LOCKED
        )
        RETURNING branch_id, practitioner_id, status, number
    )
    INSERT INTO medics_referralcount (branch_id, practitioner_id, status, number)
    SELECT branch_id, practitioner_id, status, sum(number) FROM folded
    GROUP BY 1, 2, 3 HAVING sum(number) <> 0
$$;

CREATE FUNCTION medics_fold_all_counts() RETURNS void LANGUAGE sql AS $$
    SELECT medics_fold_counts(
        array_agg(DISTINCT branch_id) FILTER (WHERE branch_id IS NOT NULL),
        array_agg(DISTINCT practitioner_id) FILTER (WHERE practitioner_id IS NOT NULL)
    ) FROM medics_referralcount
$$;
"""


def count_on(event: str, transition_tables: str, changes: str) -> str:
    return f"""
CREATE FUNCTION medics_count_on_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH changes AS ({changes})
    INSERT INTO medics_referralcount (branch_id, practitioner_id, status, number)
    SELECT facility_branch_id, NULL::uuid, status, sum(n) FROM changes
    GROUP BY 1, 3 HAVING sum(n) <> 0
    UNION ALL
    SELECT NULL, referred_by_id, status, sum(n) FROM changes
    GROUP BY 2, 3 HAVING sum(n) <> 0;

    IF random() < 1.0 / {FOLD_ONE_IN} THEN
        PERFORM medics_fold_counts(
            array_agg(DISTINCT facility_branch_id), array_agg(DISTINCT referred_by_id)
        )
            FROM ({changes}) AS changes;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_on_{event} AFTER {event} ON medics_referral
    REFERENCING {transition_tables}
    FOR EACH STATEMENT EXECUTE FUNCTION medics_count_on_{event}();
"""


COME = "SELECT facility_branch_id, referred_by_id, status, 1 AS n FROM come"
GONE = "SELECT facility_branch_id, referred_by_id, status, -1 AS n FROM gone"

COUNTS = (
    FOLD
    + count_on("INSERT", "NEW TABLE AS come", COME)
    + count_on("DELETE", "OLD TABLE AS gone", GONE)
    + count_on("UPDATE", "OLD TABLE AS gone NEW TABLE AS come", f"{COME} UNION ALL {GONE}")
    + """
CREATE FUNCTION medics_count_nothing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM medics_referralcount;
    RETURN NULL;
END $$;

CREATE TRIGGER count_nothing AFTER TRUNCATE ON medics_referral
    FOR EACH STATEMENT EXECUTE FUNCTION medics_count_nothing();

INSERT INTO medics_referralcount (branch_id, status, number)
    SELECT facility_branch_id, status, count(*) FROM medics_referral GROUP BY 1, 2;
INSERT INTO medics_referralcount (practitioner_id, status, number)
    SELECT referred_by_id, status, count(*) FROM medics_referral GROUP BY 1, 2;
"""
)

# The lock on the patient makes a referral wait for a change of the name that is under way.
PATIENT_NAMES = """
CREATE FUNCTION medics_take_patient_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT upper(full_name_or_id) INTO NEW.patient_name_upper
        FROM medics_patient WHERE id = NEW.patient_id FOR SHARE;
    NEW.patient_name_upper = coalesce(NEW.patient_name_upper, '');
    RETURN NEW;
END $$;

CREATE TRIGGER take_patient_name BEFORE INSERT OR UPDATE OF patient_id, patient_name_upper
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

# The lock on the referrals makes two changes of one's tests wait for each other. Whoever inserts a
# referral with its test ids already (the service does) costs it no second write.
TEST_IDS = """
CREATE FUNCTION medics_keep_test_ids() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.test_ids = ARRAY(
        SELECT test_id FROM medics_referraltest WHERE referral_id = NEW.id ORDER BY test_id
    );
    RETURN NEW;
END $$;

CREATE TRIGGER keep_test_ids BEFORE UPDATE OF test_ids ON medics_referral
    FOR EACH ROW WHEN (OLD.test_ids <> NEW.test_ids) EXECUTE FUNCTION medics_keep_test_ids();

CREATE FUNCTION medics_take_test_ids(referrals text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM medics_referral WHERE id = ANY (referrals) ORDER BY id FOR NO KEY UPDATE;
    UPDATE medics_referral SET test_ids = found.ids
    FROM (
        SELECT referral.id, array_remove(array_agg(test.test_id ORDER BY test.test_id), NULL) AS ids
        FROM medics_referral referral
        LEFT JOIN medics_referraltest test ON test.referral_id = referral.id
        WHERE referral.id = ANY (referrals) GROUP BY 1
    ) AS found
    WHERE medics_referral.id = found.id AND medics_referral.test_ids <> found.ids;
END $$;
"""


def take_test_ids_on(event: str, transition_tables: str, changed: str) -> str:
    return f"""
CREATE FUNCTION medics_take_test_ids_on_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM medics_take_test_ids(ARRAY({changed}));
    RETURN NULL;
END $$;

CREATE TRIGGER take_test_ids_on_{event} AFTER {event} ON medics_referraltest
    REFERENCING {transition_tables}
    FOR EACH STATEMENT EXECUTE FUNCTION medics_take_test_ids_on_{event}();
"""


TEST_IDS += (
    take_test_ids_on("INSERT", "NEW TABLE AS come", "SELECT DISTINCT referral_id FROM come")
    + take_test_ids_on("DELETE", "OLD TABLE AS gone", "SELECT DISTINCT referral_id FROM gone")
    + take_test_ids_on(
        "UPDATE",
        "OLD TABLE AS gone NEW TABLE AS come",
        """
        SELECT come.referral_id FROM come JOIN gone USING (id)
        WHERE (come.referral_id, come.test_id) <> (gone.referral_id, gone.test_id)
        UNION
        SELECT gone.referral_id FROM come JOIN gone USING (id)
        WHERE (come.referral_id, come.test_id) <> (gone.referral_id, gone.test_id)
        """,
    )
    + "SELECT medics_take_test_ids(ARRAY(SELECT id FROM medics_referral));"
)

# The lists are answered by indexes alone while vacuum keeps up, which waits for a fifth of the
# table by default.
VACUUM = """
ALTER TABLE medics_referral SET (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.01,
    autovacuum_analyze_scale_factor = 0.02
);
ALTER TABLE medics_referralcount SET (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.01
);
"""

UNDO = """
DROP FUNCTION medics_take_test_ids_on_INSERT CASCADE;
DROP FUNCTION medics_take_test_ids_on_DELETE CASCADE;
DROP FUNCTION medics_take_test_ids_on_UPDATE CASCADE;
DROP FUNCTION medics_take_test_ids CASCADE;
DROP FUNCTION medics_keep_test_ids CASCADE;
DROP FUNCTION medics_pass_patient_name_on CASCADE;
DROP FUNCTION medics_take_patient_name CASCADE;
DROP FUNCTION medics_count_on_INSERT CASCADE;
DROP FUNCTION medics_count_on_DELETE CASCADE;
DROP FUNCTION medics_count_on_UPDATE CASCADE;
DROP FUNCTION medics_count_nothing CASCADE;
DROP FUNCTION medics_fold_all_counts CASCADE;
DROP FUNCTION medics_fold_counts CASCADE;
DELETE FROM medics_referralcount;
"""


class Migration(migrations.Migration):
    dependencies = [("medics", "0003_lists")]

    operations = [
        # Rows that are filled in leave checks pending, and a table with any cannot be altered.
        migrations.RunSQL(
            VACUUM + "SET CONSTRAINTS ALL IMMEDIATE;" + COUNTS + PATIENT_NAMES + TEST_IDS, UNDO
        )
    ]
