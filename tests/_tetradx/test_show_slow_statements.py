from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from _tetradx.management.commands import show_slow_statements as command
from tests.support.throwaway_postgres import throwaway_server

pytestmark = pytest.mark.django_db


def connected_to(server):
    """A connection of Django's to the server, beside the test's own."""
    own = connection.copy()
    own.settings_dict.update(
        HOST="127.0.0.1", PORT=server.port, USER="tetradx", PASSWORD=server.password, NAME="tetradx"
    )
    for name in ("host", "port"):
        own.settings_dict["OPTIONS"].pop(name, None)
    return own


@pytest.fixture(scope="module")
def counting_server():
    with throwaway_server(shared_preload_libraries="pg_stat_statements") as server:
        server.query("CREATE EXTENSION pg_stat_statements")
        yield server


@pytest.fixture
def show(monkeypatch, capsys):
    """Runs the command on the server; gives its lines."""
    opened = []

    def show(server, *arguments):
        opened.append(connected_to(server))
        monkeypatch.setattr(command, "connection", opened[-1])
        call_command("show_slow_statements", *arguments)
        return capsys.readouterr().out.splitlines()

    yield show
    for each in opened:
        each.close()


def test_statements_are_shown_with_their_time_and_without_their_values(counting_server, show):
    counting_server.query("SELECT pg_sleep(0.05), 'Akosua Mensah'")

    heads, slowest, *_ = show(counting_server)

    assert heads.split()[:2] == ["calls", "seconds"]
    assert slowest.endswith("SELECT pg_sleep($1), $2")
    assert slowest.split()[0] == "1"


def test_statements_that_may_show_a_value_are_left_out(counting_server, show):
    counting_server.query("ALTER ROLE tetradx VALID UNTIL 'infinity'")

    assert not any("ALTER" in line for line in show(counting_server, "--limit=1000"))


def test_the_most_called_and_the_longest_can_be_asked_for(counting_server, show):
    for _ in range(5):
        counting_server.query("SELECT 'often'::text")

    by_calls = [int(line.split()[0]) for line in show(counting_server, "--by=calls")[1:]]
    assert by_calls == sorted(by_calls, reverse=True)
    assert by_calls[0] >= 5
    assert len(show(counting_server, "--by=mean", "--limit=2")) == 3


def test_a_long_statement_is_cut(counting_server, show):
    counting_server.query("SELECT 1 AS a_name_that_is_long_enough_to_be_cut")

    lines = show(counting_server, "--width=12", "--limit=1000")

    assert any(line.endswith("SELECT $1 AS") for line in lines)


def test_counting_can_begin_anew(counting_server, show):
    counting_server.query("SELECT 1 AS before")

    assert show(counting_server, "--reset") == []

    assert not any("before" in line for line in show(counting_server, "--limit=1000"))


def test_the_extension_is_asked_for_and_can_be_installed(counting_server, show):
    counting_server.query("DROP EXTENSION pg_stat_statements")
    with pytest.raises(CommandError, match="--install"):
        show(counting_server)

    assert show(counting_server, "--install")


def test_a_server_that_does_not_count_says_how_it_is_started():
    with pytest.raises(CommandError, match="shared_preload_libraries=pg_stat_statements"):
        call_command("show_slow_statements", "--install")


def test_a_server_that_is_away_is_told(counting_server, show):
    away = mock.Mock(port=1, password=counting_server.password)

    with pytest.raises(CommandError, match="refused"):
        show(away)
