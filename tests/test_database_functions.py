"""Whoever calls a function of the database has no say in which tables and operators it means."""

import re

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

# A function is pinned by a search_path of its own that ends with the temporary schema, where
# anybody may put a table before ours; or has a body that was bound when it was made (RETURN, BEGIN
# ATOMIC); or is of SQL whose every name is that of an argument or begins with `pg_catalog.`
FUNCTIONS = """
    SELECT proc.oid::regprocedure::text, lanname, prosrc, prosqlbody IS NOT NULL, prosecdef,
        coalesce(proargnames, '{}'),
        (SELECT substr(setting, 13) FROM unnest(proconfig) AS setting
         WHERE setting LIKE 'search_path=%'),
        has_function_privilege('public', proc.oid, 'EXECUTE')
    FROM pg_proc proc JOIN pg_language ON pg_language.oid = prolang
    WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_depend WHERE objid = proc.oid AND deptype = 'e'
    )
"""

# These do something for whoever calls them that the caller may not do, so they look who it is.
FOR_EVERYBODY = {"medics_write_down(text,uuid,text,text,text,jsonb)"}

SYNTAX = {
    *("select", "case", "when", "then", "else", "end", "and", "or", "not", "is", "null"),
    *("true", "false", "coalesce", "collate", "as", "distinct", "from", "operator", "array"),
}


def functions():
    with connection.cursor() as cursor:
        cursor.execute(FUNCTIONS)
        return cursor.fetchall()


def is_pinned(language, body, is_bound, arguments, search_path):
    if search_path is not None:
        schemas = [schema.strip() for schema in search_path.split(",")]
        return schemas[0] == "pg_catalog" and schemas[-1] == "pg_temp" and "$user" not in schemas
    return is_bound or (language == "sql" and is_qualified(body, arguments))


def is_qualified(body, arguments):
    """Whether an expression has no name, and no operator, that a search path would decide on."""
    body = re.sub(r"'(?:[^']|'')*'|--[^\n]*|\$\d+", " ", body)
    body = re.sub(r"OPERATOR\s*\(\s*pg_catalog\.[^\s\w()]+\s*\)", " ", body, flags=re.IGNORECASE)
    body = re.sub(r"\bpg_catalog\.(?:\w+|\"[^\"]+\")", " ", body)
    words = {word.lower() for word in re.findall(r"[^\W\d]\w*", body)}
    operators = re.sub(r"[\w\s(),;\[\]]|::", "", body)
    return not operators and words <= SYNTAX | {name.lower() for name in arguments}


def test_every_function_is_pinned():
    assert len(functions()) > 30
    assert [
        name
        for name, language, body, is_bound, _, arguments, search_path, _ in functions()
        if not is_pinned(language, body, is_bound, arguments, search_path)
    ] == []


def test_what_runs_as_its_owner_is_called_by_triggers_alone():
    as_owner = [(name, is_public) for name, *_, definer, _, _, is_public in functions() if definer]
    assert {name for name, is_public in as_owner if is_public} == FOR_EVERYBODY


@pytest.mark.parametrize(
    ("body", "qualified"),
    [
        ("SELECT pg_catalog.lower(name)", True),
        ('select pg_catalog.lower($1 COLLATE pg_catalog."C")', True),
        (
            "SELECT pg_catalog.lower(name) OPERATOR(pg_catalog.||) 'a''s b(x)'::pg_catalog.text",
            True,
        ),
        ("SELECT CASE WHEN name IS NULL THEN '' ELSE pg_catalog.lower(name) END", True),
        ("SELECT lower(name)", False),
        ("SELECT pg_catalog.lower(name) || 'x'", False),
        ("SELECT pg_catalog.lower(name)::text", False),
        ("SELECT nullif(name, '')", False),
        ("SELECT name FROM own", False),
        ("SELECT name = ''", False),
    ],
)
def test_what_counts_as_qualified(body, qualified):
    assert is_qualified(body, ["name"]) == qualified
