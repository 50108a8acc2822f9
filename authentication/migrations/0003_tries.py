"""Counts tries at a login, atomically, for `authentication.throttles`."""

from django.db import migrations, models

TAKE = """
CREATE FUNCTION authentication_take_a_try(
    names text[], free int[], window_seconds int[], first_wait int[], longest_wait int[]
) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    this_moment timestamptz := clock_timestamp();
    longest double precision := 0;
    found authentication_try;
BEGIN
    FOR i IN 1 .. array_length(names, 1) LOOP
        INSERT INTO authentication_try AS known (name, number, expires_at, next_at)
            VALUES (names[i], 0, this_moment + window_seconds[i] * interval '1 second', this_moment)
        ON CONFLICT (name) DO UPDATE SET
            number = CASE WHEN known.expires_at > this_moment THEN known.number ELSE 0 END,
            next_at = CASE WHEN known.expires_at > this_moment THEN known.next_at ELSE this_moment END,
            expires_at = CASE WHEN known.expires_at > this_moment THEN known.expires_at
                ELSE EXCLUDED.expires_at END
        RETURNING * INTO found;
        IF found.number >= free[i] AND found.next_at > this_moment THEN
            longest := greatest(longest, extract(epoch FROM found.next_at - this_moment));
        END IF;
    END LOOP;
    IF longest = 0 THEN
        UPDATE authentication_try SET
            number = number + 1,
            next_at = CASE WHEN number + 1 < rule.free THEN next_at ELSE this_moment
                + least(rule.first_wait * 2 ^ least(number + 1 - rule.free, 30), rule.longest_wait)
                * interval '1 second' END
        FROM unnest(names, free, first_wait, longest_wait)
            AS rule (name, free, first_wait, longest_wait)
        WHERE authentication_try.name = rule.name;
    END IF;
    RETURN longest;
END $$;
"""

# Row by row in the order of the names, as above: two logins would lock them in different orders,
# and wait for each other.
GIVE_BACK = """
CREATE FUNCTION authentication_give_a_try_back(names text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM authentication_try WHERE name = names[1];
    FOR i IN 2 .. array_length(names, 1) LOOP
        UPDATE authentication_try SET number = greatest(number - 1, 0) WHERE name = names[i];
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("authentication", "0002_disabled_accounts_end_their_sessions")]

    operations = [
        migrations.CreateModel(
            name="Try",
            fields=[
                (
                    "name",
                    models.CharField(max_length=64, primary_key=True, serialize=False),
                ),
                ("number", models.IntegerField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("next_at", models.DateTimeField()),
            ],
            options={"verbose_name_plural": "tries"},
        ),
        migrations.RunSQL(TAKE, "DROP FUNCTION authentication_take_a_try"),
        migrations.RunSQL(GIVE_BACK, "DROP FUNCTION authentication_give_a_try_back"),
    ]
