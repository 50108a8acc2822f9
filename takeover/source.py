"""The predecessor's database, of which one snapshot is read and nothing is written."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Thread
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 (it is a class)

from .tables import TABLES, Table


class SourceError(Exception):
    """The predecessor's database cannot be read; says why, and nothing of its URL."""


def explanation(error: BaseException) -> str:
    """PostgreSQL's message, without what it quotes: that may be of the URL, or of a row."""
    diagnostics = getattr(error, "diag", None)
    message = (diagnostics and diagnostics.message_primary) or str(error)
    return re.sub(r'"[^"]*"', "…", message).strip()


@contextmanager
def snapshot(url: str) -> Iterator["Source"]:
    """Whatever is read within is as of one moment. Raises SourceError."""
    if not url.startswith(("postgres://", "postgresql://")):
        raise SourceError("The URL is not of the form postgres://user:password@host:5432/name.")
    try:
        connection = psycopg2.connect(
            url, application_name="tetradx import_predecessor", client_encoding="UTF8"
        )
    except psycopg2.Error as error:
        why = explanation(error)
        if isinstance(error, psycopg2.ProgrammingError):
            why = "the URL cannot be read; are the special characters in it percent-encoded?"
        raise SourceError(f"The predecessor's database: {why}") from None
    with closing(connection):
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        source = Source(connection)
        source.query("SET LOCAL statement_timeout = 0")
        source.query("SET LOCAL idle_in_transaction_session_timeout = 0")
        # So that values are written in the same way on both sides.
        source.query("SET LOCAL TimeZone = 'UTC'")
        source.query("SET LOCAL DateStyle = 'ISO, YMD'")
        source.require_tables()
        yield source


class Source:
    def __init__(self, connection: Connection):
        self.connection = connection

    def query(self, sql: str, parameters: Any = None) -> list[tuple]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def stream(self, sql: str, parameters: Any = None) -> Iterator[tuple]:
        """The rows, some thousand at a time."""
        with self.connection.cursor("predecessor") as cursor:
            cursor.execute(sql, parameters)
            yield from cursor

    def require_tables(self) -> None:
        """Raises SourceError where a table or a column of the predecessor's is missing."""
        found = defaultdict(set)
        for table, column in self.query(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = ANY (current_schemas(false))"
        ):
            found[table].add(column)
        missing = [
            f"{table.name}.{name}"
            for table in TABLES
            for name in table.names
            if name not in found[table.name]
        ]
        if missing:
            raise SourceError(
                "This is not the predecessor's database, or its role may not read it. "
                f"Not found: {', '.join(missing)}."
            )

    def counts(self) -> Counter[str]:
        return Counter(
            {
                table.name: self.query(f'SELECT count(*) FROM "{table.name}"')[0][0]
                for table in TABLES
            }
        )

    def copy(self, table: Table, cursor: Any, on_row: Callable[[], Any]) -> None:
        """Streams the table into its temporary one through `cursor`; memory stays flat."""
        columns = ", ".join(table.names)
        read_end, write_end = os.pipe()
        failures: list[BaseException] = []

        def read() -> None:
            try:
                with os.fdopen(write_end, "wb") as stream, self.connection.cursor() as source:
                    source.copy_expert(
                        f'COPY (SELECT {columns} FROM "{table.name}") TO STDOUT',
                        EachRow(stream.write, on_row),
                    )
            except BaseException as error:  # whatever it is, what came is not the whole table
                failures.append(error)

        reader = Thread(target=read)
        reader.start()
        try:
            with os.fdopen(read_end, "rb") as stream:
                cursor.copy_expert(f"COPY {table.staging} ({columns}) FROM STDIN", stream)
        finally:
            reader.join()
        if failures:
            why = explanation(failures[0])
            raise SourceError(f"The predecessor's {table.name}: {why}") from failures[0]


class EachRow:
    """A file for COPY, which writes a row at a time."""

    def __init__(self, write: Callable[[bytes], Any], on_row: Callable[[], Any]):
        self.write_row, self.on_row = write, on_row

    def write(self, row: bytes) -> None:
        self.write_row(row)
        self.on_row()
