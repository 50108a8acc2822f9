"""Querysets as parts of hand-written SQL, compiled once.

On the busiest routes, building and compiling a queryset costs more than the statement itself. So
their SQL is written by hand, and the rules that querysets hold are inserted into it.
"""

import re
from collections.abc import Callable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Expression, Field, QuerySet
from django.db.models.query import get_related_populators  # type: ignore[attr-defined]


class Parameter(Expression):
    """A placeholder in a queryset for a value that is given when its SQL runs, as `%(name)s`."""

    def __init__(self, name: str, output_field: Field):
        self.name = name
        super().__init__(output_field=output_field)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s", [self]


def sql_of(queryset: QuerySet) -> str:
    """Returns the queryset's SQL, with its Parameters as named placeholders."""
    sql, values = queryset.query.sql_with_params()
    written = (
        f"%({value.name})s" if isinstance(value, Parameter) else literal(value) for value in values
    )
    # %% stays as it is: psycopg2 reads it when the SQL runs.
    return re.sub("%[%s]", lambda mark: mark[0] if mark[0] == "%%" else next(written), sql)


def literal(value: Any) -> str:
    with connection.cursor() as cursor:
        return cursor.cursor.mogrify("%s", [value]).decode().replace("%", "%%")


def rows_of(sql: str, parameters: dict[str, Any]) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def instances_of(queryset: QuerySet) -> Callable[[dict[str, Any]], list[Any]]:
    """Returns a function that fetches the queryset's instances, select_related ones included.

    The function takes the parameters by name; the SQL is compiled before. Field converters are
    bypassed: no field of this service needs one on PostgreSQL.
    """
    sql = sql_of(queryset)
    compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
    compiler.as_sql()  # sets klass_info
    klass_info = compiler.klass_info
    first, last = klass_info["select_fields"][0], klass_info["select_fields"][-1] + 1
    names = [column.target.attname for column, *_ in compiler.select[first:last]]
    related = get_related_populators(klass_info, compiler.select, DEFAULT_DB_ALIAS)

    def ask(parameters: dict[str, Any]) -> list[Any]:
        instances = []
        for row in rows_of(sql, parameters):
            instance = queryset.model.from_db(DEFAULT_DB_ALIAS, names, row[first:last])
            for populator in related:
                populator.populate(row, instance)
            instances.append(instance)
        return instances

    return ask
