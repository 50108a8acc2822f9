"""Comparison of texts that ignores case, and optionally spacing.

The comparison uses each character's simple lower case, in NFC; any white space is a space. So `İ`
equals `i`, `ẞ` equals `ß` and a final sigma equals a sigma, but `ß` does not equal `ss`. PostgreSQL
has the same functions, from authentication's migration 0004; tests keep the two equal.
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
    """The key of texts that only differ in case; to compare, not to show."""
    # Only the first character of `lower()`: İ is the only letter with a longer lower case.
    lower = "".join(character.lower()[0] for character in normalized("NFC", text))
    return normalized("NFC", lower.translate(ONE_FOR_ALL))


def name_key(text: str) -> str:
    """The key of texts that only differ in case and spacing."""
    return fold(text).replace(" ", "")


class Fold(Func):
    """`fold`, computed by the database."""

    function = "tetradx_fold"
    arity = 1
    output_field = TextField()


class NameKey(Func):
    """`name_key`, computed by the database."""

    function = "tetradx_name_key"
    arity = 1
    output_field = TextField()


class NamesKey(NameKey):
    """The `name_key` of two texts, one after the other."""

    arity = 2
    arg_joiner = " || "


class SortKey(Func):
    """The key by which names are sorted for people: an accent does not change a letter's place.

    It is for short lists, since no index holds it.
    """

    function = "tetradx_sort_key"
    arity = 1
    output_field = TextField()


@CharField.register_lookup
@TextField.register_lookup
class FoldedContains(Lookup):
    """Matches where the text occurs, whatever its case; `%`, `_` and `\\` are plain text."""

    lookup_name = "folded_contains"

    def get_prep_lookup(self) -> Any:
        return fold(str(self.rhs))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, parameters = self.process_lhs(compiler, connection)
        pattern = f"%{connection.ops.prep_for_like_query(self.rhs)}%"
        return f"tetradx_fold({column}) LIKE %s", [*parameters, pattern]
