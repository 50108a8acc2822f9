"""From where users logged in, and a count of tries in which whoever tried less comes first.

The function of migration 0003 stays for the version before, which calls it with one array less.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TAKE = """
CREATE FUNCTION public.authentication_take_a_try(
    names text[], free int[], window_seconds int[], first_wait int[], longest_wait int[],
    step_aside int[]
) RETURNS double precision LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    this_moment timestamptz := clock_timestamp();
    longest double precision := 0;
    of_the_address int;
    turn timestamptz;
    found public.authentication_try;
BEGIN
    FOR i IN 1 .. array_length(names, 1) LOOP
        INSERT INTO public.authentication_try AS known (name, number, expires_at, next_at)
            VALUES (names[i], 0, this_moment + window_seconds[i] * interval '1 second', this_moment)
        ON CONFLICT (name) DO UPDATE SET
            number = CASE WHEN known.expires_at > this_moment THEN known.number ELSE 0 END,
            next_at = CASE WHEN known.expires_at > this_moment THEN known.next_at ELSE this_moment END,
            expires_at = CASE WHEN known.expires_at > this_moment THEN known.expires_at
                ELSE EXCLUDED.expires_at END
        RETURNING * INTO found;
        of_the_address := coalesce(of_the_address, found.number);
        turn := found.next_at + least(of_the_address, 5) * step_aside[i] * interval '1 second';
        IF found.number >= free[i] AND turn > this_moment THEN
            longest := greatest(longest, extract(epoch FROM turn - this_moment));
        END IF;
    END LOOP;
    IF longest = 0 THEN
        UPDATE public.authentication_try SET
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

UNDO_TAKE = (
    "DROP FUNCTION public.authentication_take_a_try(text[], int[], int[], int[], int[], int[])"
)


class Migration(migrations.Migration):
    dependencies = [("authentication", "0007_two_zeros_are_a_plus")]

    operations = [
        migrations.CreateModel(
            name="KnownAddress",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("address_key", models.CharField(max_length=64)),
                ("seen_at", models.DateTimeField()),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="known_addresses",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"verbose_name_plural": "known addresses"},
        ),
        migrations.AddConstraint(
            model_name="knownaddress",
            constraint=models.UniqueConstraint(
                fields=("user", "address_key"), name="unique_known_address"
            ),
        ),
        migrations.RunSQL(TAKE, UNDO_TAKE),
    ]
