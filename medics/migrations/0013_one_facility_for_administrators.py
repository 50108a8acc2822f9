"""Who administers a facility works at its branches alone.

Rows of before are not looked at until they change; CHANGELOG.md has how to find them.
"""

from django.db import migrations

# The lock on the person makes an assignment and the naming of an administrator wait for each other.
FROM_THE_BRANCH = """
CREATE OR REPLACE FUNCTION medics_one_facility_per_person() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
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
    IF EXISTS (
        SELECT FROM medics_facility administered
        JOIN medics_facilitybranch new_branch ON new_branch.id = NEW.branch_id
        WHERE administered.admin_id = NEW.user_id AND administered.id <> new_branch.facility_id
    ) THEN
        PERFORM medics_refuse(
            'one_facility_per_person', 'this person administers another facility'
        );
    END IF;
    RETURN NEW;
END $$;
"""

FROM_THE_FACILITY = """
CREATE FUNCTION medics_administrator_works_here() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.admin_id IS NOT DISTINCT FROM NEW.admin_id THEN
        RETURN NEW;
    END IF;
    PERFORM FROM authentication_user WHERE id = NEW.admin_id FOR NO KEY UPDATE;
    IF EXISTS (
        SELECT FROM medics_branchtechnician theirs
        JOIN medics_facilitybranch branch ON branch.id = theirs.branch_id
        WHERE theirs.user_id = NEW.admin_id AND branch.facility_id <> NEW.id
    ) THEN
        PERFORM medics_refuse(
            'one_facility_per_person', 'this person works at a branch of another facility'
        );
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER one_facility_per_person BEFORE INSERT OR UPDATE OF admin_id ON medics_facility
    FOR EACH ROW WHEN (NEW.admin_id IS NOT NULL)
    EXECUTE FUNCTION medics_administrator_works_here();
"""

UNDO = """
DROP FUNCTION medics_administrator_works_here CASCADE;

CREATE OR REPLACE FUNCTION medics_one_facility_per_person() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
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
"""


class Migration(migrations.Migration):
    dependencies = [("medics", "0013_history_is_out_of_reach")]

    operations = [migrations.RunSQL(FROM_THE_BRANCH + FROM_THE_FACILITY, UNDO)]
