"""When two texts are one, as the database has it; `_tetradx.values.folding` has the same in Python.

Only functions of pg_catalog and a collation that comes with PostgreSQL 17 and newer, so that the
answer depends on neither the operating system nor the search path. They are planned into the
statements that call them.
"""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations

import _tetradx.values.folding
import _tetradx.values.names

# The first case has what most names have, a letter in one piece, and is ten times as fast.
FOLD = r"""
CREATE FUNCTION tetradx_fold(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN $1 COLLATE pg_catalog."C"
        OPERATOR(pg_catalog.~) '^[ -~\u00a1-\u012f\u0131-\u02af\u1e00-\u1eff]*$'
    THEN pg_catalog.lower($1 COLLATE pg_catalog.pg_c_utf8)
    ELSE pg_catalog.normalize(
        pg_catalog.translate(
            pg_catalog.lower(pg_catalog.normalize($1, 'NFC') COLLATE pg_catalog.pg_c_utf8),
            U&'\03C2\0009\000A\000B\000C\000D\0085\00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\2028\2029\202F\205F\3000',
            U&'\03C3                        '
        ),
        'NFC'
    )
END
"""

NAME_KEY = """
CREATE FUNCTION tetradx_name_key(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.replace(tetradx_fold($1), ' ', '')
"""

# Letters of Ghana's languages that come after the one that they are made from.
AFTER = dict(zip("ɖɛƒɣŋɔʋ", "defgnov", strict=True))

WITHOUT_ACCENTS = r"""pg_catalog.regexp_replace(
    pg_catalog.normalize(tetradx_fold($1), 'NFD') COLLATE pg_catalog."C", '[\u0300-\u036f]', '', 'g'
)"""


def sorted_after() -> str:
    expression = WITHOUT_ACCENTS
    for letter, base in AFTER.items():
        expression = f"pg_catalog.replace({expression}, '{letter}', '{base}|')"
    return expression


SORT_KEY = f"""
CREATE FUNCTION tetradx_sort_key(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN {sorted_after()} COLLATE pg_catalog."C"
"""


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("authentication", "0003_tries"),
        # Which brings the trigrams.
        ("medics", "0003_lists"),
    ]

    operations = [
        migrations.RunSQL(FOLD, "DROP FUNCTION tetradx_fold"),
        migrations.RunSQL(NAME_KEY, "DROP FUNCTION tetradx_name_key"),
        migrations.RunSQL(SORT_KEY, "DROP FUNCTION tetradx_sort_key"),
        migrations.AlterField(
            model_name="user",
            name="full_name",
            field=_tetradx.values.names.NameField(blank=True, max_length=255),
        ),
        AddIndexConcurrently(
            model_name="user",
            index=GinIndex(
                OpClass(_tetradx.values.folding.Fold("full_name"), name="gin_trgm_ops"),
                name="user_name_trigrams",
            ),
        ),
    ]
