"""A disabled account ends all of its sessions, whoever disables it; enabling it revives none."""

from django.db import migrations

END_SESSIONS = """
CREATE FUNCTION authentication_end_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE authentication_session SET ended_at = now()
        WHERE user_id = NEW.id AND ended_at IS NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER end_sessions AFTER UPDATE OF is_active ON authentication_user
    FOR EACH ROW WHEN (OLD.is_active AND NOT NEW.is_active)
    EXECUTE FUNCTION authentication_end_sessions();
"""

UNDO = "DROP FUNCTION authentication_end_sessions CASCADE"


class Migration(migrations.Migration):
    dependencies = [("authentication", "0001_initial")]

    operations = [migrations.RunSQL(END_SESSIONS, UNDO)]
