"""Rules that no constraint can express, kept by triggers for every path into the database.

A refused row raises check_violation with the rule as the constraint's name, so that the service
sees an IntegrityError like any other.
"""

from django.db import migrations

REFUSE = """
CREATE FUNCTION medics_refuse(rule text, explanation text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation', CONSTRAINT = rule, MESSAGE = explanation;
END $$;
"""

# Once a branch or a type has a facility it stays there: the rules below could otherwise be broken
# from the other end.
FACILITY_IS_FIXED = """
CREATE FUNCTION medics_facility_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM medics_refuse('facility_is_fixed', TG_TABLE_NAME || ' cannot move to another facility');
    RETURN NULL;
END $$;

CREATE TRIGGER facility_is_fixed BEFORE UPDATE OF facility_id ON medics_facilitybranch
    FOR EACH ROW WHEN (OLD.facility_id <> NEW.facility_id)
    EXECUTE FUNCTION medics_facility_is_fixed();

CREATE TRIGGER facility_is_fixed BEFORE UPDATE OF facility_id ON medics_testtype
    FOR EACH ROW WHEN (OLD.facility_id <> NEW.facility_id)
    EXECUTE FUNCTION medics_facility_is_fixed();

CREATE FUNCTION medics_test_keeps_its_facility() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT facility_id FROM medics_testtype WHERE id = OLD.test_type_id)
        <> (SELECT facility_id FROM medics_testtype WHERE id = NEW.test_type_id) THEN
        PERFORM medics_refuse('facility_is_fixed', 'a test cannot move to another facility');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER facility_is_fixed BEFORE UPDATE OF test_type_id ON medics_test
    FOR EACH ROW WHEN (OLD.test_type_id <> NEW.test_type_id)
    EXECUTE FUNCTION medics_test_keeps_its_facility();

CREATE FUNCTION medics_referral_keeps_its_facility() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT facility_id FROM medics_facilitybranch WHERE id = OLD.facility_branch_id)
        <> (SELECT facility_id FROM medics_facilitybranch WHERE id = NEW.facility_branch_id) THEN
        PERFORM medics_refuse('facility_is_fixed', 'a referral cannot move to another facility');
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER facility_is_fixed BEFORE UPDATE OF facility_branch_id ON medics_referral
    FOR EACH ROW WHEN (OLD.facility_branch_id <> NEW.facility_branch_id)
    EXECUTE FUNCTION medics_referral_keeps_its_facility();
"""

TEST_BELONGS_TO_FACILITY = """
CREATE FUNCTION medics_test_belongs_to_facility() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM medics_referral referral
        JOIN medics_facilitybranch branch ON branch.id = referral.facility_branch_id
        JOIN medics_testtype test_type ON test_type.facility_id = branch.facility_id
        JOIN medics_test test ON test.test_type_id = test_type.id
        WHERE referral.id = NEW.referral_id AND test.id = NEW.test_id
    ) THEN
        PERFORM medics_refuse(
            'test_belongs_to_facility_of_branch',
            'the facility of the referral''s branch does not offer this test'
        );
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER test_belongs_to_facility BEFORE INSERT OR UPDATE OF referral_id, test_id
    ON medics_referraltest FOR EACH ROW EXECUTE FUNCTION medics_test_belongs_to_facility();
"""

# The lock on the person makes two assignments at once wait for each other.
ONE_FACILITY_PER_PERSON = """
CREATE FUNCTION medics_one_facility_per_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM authentication_user WHERE id = NEW.user_id FOR NO KEY UPDATE;
    IF EXISTS (
        SELECT FROM medics_branchtechnician other
        JOIN medics_facilitybranch their_branch ON their_branch.id = other.branch_id
        JOIN medics_facilitybranch new_branch ON new_branch.id = NEW.branch_id
        WHERE other.user_id = NEW.user_id AND other.id <> NEW.id
            AND their_branch.facility_id <> new_branch.facility_id
    ) THEN
        PERFORM medics_refuse(
            'one_facility_per_person', 'this person works at a branch of another facility'
        );
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER one_facility_per_person BEFORE INSERT OR UPDATE OF user_id, branch_id
    ON medics_branchtechnician FOR EACH ROW EXECUTE FUNCTION medics_one_facility_per_person();
"""

# Who: the transaction's setting tetradx.user_id, which the services set; else nobody.
HISTORY = """
CREATE FUNCTION medics_changed_by() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('tetradx.user_id', true), '')::uuid
$$;

CREATE FUNCTION medics_record_referral_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO medics_statuschange
        (referral_id, from_status, to_status, changed_by_id, changed_at)
        VALUES (NEW.id, OLD.status, NEW.status, medics_changed_by(), clock_timestamp());
    RETURN NULL;
END $$;

CREATE TRIGGER record_status AFTER UPDATE OF status ON medics_referral
    FOR EACH ROW WHEN (OLD.status <> NEW.status)
    EXECUTE FUNCTION medics_record_referral_status();

CREATE FUNCTION medics_record_test_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO medics_statuschange
        (referral_id, referral_test_id, from_status, to_status, changed_by_id, changed_at)
        VALUES (NEW.referral_id, NEW.id, OLD.status, NEW.status,
                medics_changed_by(), clock_timestamp());
    RETURN NULL;
END $$;

CREATE TRIGGER record_status AFTER UPDATE OF status ON medics_referraltest
    FOR EACH ROW WHEN (OLD.status <> NEW.status)
    EXECUTE FUNCTION medics_record_test_status();
"""

UNDO = """
DROP FUNCTION medics_record_test_status CASCADE;
DROP FUNCTION medics_record_referral_status CASCADE;
DROP FUNCTION medics_changed_by CASCADE;
DROP FUNCTION medics_one_facility_per_person CASCADE;
DROP FUNCTION medics_test_belongs_to_facility CASCADE;
DROP FUNCTION medics_referral_keeps_its_facility CASCADE;
DROP FUNCTION medics_test_keeps_its_facility CASCADE;
DROP FUNCTION medics_facility_is_fixed CASCADE;
DROP FUNCTION medics_refuse CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("medics", "0001_initial")]

    operations = [
        migrations.RunSQL(
            REFUSE
            + FACILITY_IS_FIXED
            + TEST_BELONGS_TO_FACILITY
            + ONE_FACILITY_PER_PERSON
            + HISTORY,
            UNDO,
        )
    ]
