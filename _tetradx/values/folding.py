"""When two texts are one: case aside, and where it is said, spacing aside.

Each character's simple lower case counts, in NFC; any white space is a space. So `İ` is `i`, `ẞ` is
`ß` and a final sigma is a sigma, but `ß` is not `ss`. Python has it here, PostgreSQL in functions
of authentication's migration 0004; tests hold the two together.
"""

from typing import Any

from django.db.models import CharField, Func, Lookup, TextField

from .normal_forms import normalized

# Unicode's property White_Space.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
ONE_FOR_ALL = str.maketrans({"\u03c2": "\u03c3", **dict.fromkeys(WHITE_SPACE, " ")})


def fold(text: str) -> str:
    """What two texts share that differ in case alone; to compare, not to show."""
    # The first of what `lower` gives: İ alone has a longer lower case.
    lower = "".join(character.lower()[0] for character in normalized("NFC", text))
    return normalized("NFC", lower.translate(ONE_FOR_ALL))


def name_key(text: str) -> str:
    """What two texts share that differ in case and spacing alone."""
    return fold(text).replace(" ", "")


class Fold(Func):
    """`fold`, by the database."""

    function = "tetradx_fold"
    arity = 1
    output_field = TextField()


class NameKey(Func):
    """`name_key`, by the database."""

    function = "tetradx_name_key"
    arity = 1
    output_field = TextField()


class NamesKey(NameKey):
    """Of two texts, one after the other."""

    arity = 2
    arg_joiner = " || "


class SortKey(Func):
    """What names are sorted by, as people read them: an accent changes no letter's place.

    For short lists: no index has it.
    """

    function = "tetradx_sort_key"
    arity = 1
    output_field = TextField()


@CharField.register_lookup
@TextField.register_lookup
class FoldedContains(Lookup):
    """Where the text occurs, whatever its case; `%`, `_` and `\\` are plain text."""

    lookup_name = "folded_contains"

    def get_prep_lookup(self) -> Any:
        return fold(str(self.rhs))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, parameters = self.process_lhs(compiler, connection)
        pattern = f"%{connection.ops.prep_for_like_query(self.rhs)}%"
        return f"tetradx_fold({column}) LIKE %s", [*parameters, pattern]
