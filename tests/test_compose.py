"""What docker-compose.yml promises, as far as it can be read from it."""

import re

import pytest
import yaml
from django.conf import settings

from tests.support.readme import explained_variables

SOURCE = (settings.BASE_DIR / "docker-compose.yml").read_text()
STACK = yaml.safe_load(SOURCE)
SERVICES = STACK["services"]
USES = re.compile(r"\$\{(\w+)(?:(:[-?])((?:[^${}]|\$\{[^}]*\})*))?\}")
EXAMPLE = dict(
    line.split("=", 1)
    for line in (settings.BASE_DIR / ".env.example").read_text().splitlines()
    if line and not line.startswith("#")
)
# Named by the stack itself, or decided when the image is built.
FIXED = {"DATABASE_URL", "DB_PORT", "HOST", "PORT", "PROMETHEUS_MULTIPROC_DIR", "STATIC_ROOT"}
# For one command, not for the service.
FIXED |= {"PREDECESSOR_DATABASE_URL"}


def test_every_variable_is_in_the_example_with_the_default_that_it_has_here():
    defaults = {name: value for name, how, value in USES.findall(SOURCE) if how == ":-"}
    assert EXAMPLE["FORWARDED_ALLOW_IPS"] == ""
    assert defaults.pop("FORWARDED_ALLOW_IPS") == "${FRONT_NETWORK:-172.30.57}.2"

    assert {name: EXAMPLE.get(name) for name in defaults} == defaults
    assert {name for name, _how, _value in USES.findall(SOURCE)} <= EXAMPLE.keys()


def test_everything_in_the_example_is_used():
    used = {name for name, _how, _value in USES.findall(SOURCE)}
    handed_on = SERVICES["backend"]["environment"]
    assert EXAMPLE.keys() - used - handed_on.keys() == {"COMPOSE_PROFILES"}


@pytest.mark.parametrize(
    "name",
    [
        *("SECRET_KEY", "JWT_SIGNING_KEY", "ALLOWED_HOSTS"),
        *("DB_PASSWORD", "DB_OWNER_PASSWORD", "POSTGRES_PASSWORD"),
    ],
)
def test_without_a_secret_compose_stops_and_names_it(name):
    uses = [how for used, how, _value in USES.findall(SOURCE) if used == name]
    assert uses
    assert set(uses) == {":?"}


def test_no_password_is_written_down():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("KEY|PASSWORD|TOKEN", name):
                assert value is None or value.startswith("${")


def test_every_setting_reaches_the_backend():
    handed_on = SERVICES["backend"]["environment"].keys()
    assert handed_on == explained_variables() - FIXED


def test_migrate_is_told_the_same_as_the_backend_but_for_its_role():
    migrate, backend = (dict(SERVICES[name]["environment"]) for name in ("migrate", "backend"))
    del backend["FORWARDED_ALLOW_IPS"]
    role = {name: migrate.pop(name) for name in ("DB_USER", "DB_PASSWORD")}
    assert role["DB_USER"] == SERVICES["db"]["environment"]["DB_OWNER_USER"]
    assert role["DB_PASSWORD"] == SERVICES["db"]["environment"]["DB_OWNER_PASSWORD"]
    assert backend.pop("DB_USER") == SERVICES["db"]["environment"]["DB_USER"] != role["DB_USER"]
    assert backend.pop("DB_PASSWORD").startswith("${DB_PASSWORD:?")
    assert migrate == backend


def test_nobody_reaches_the_database_or_the_cache_from_outside():
    for name in ("db", "redis"):
        assert "ports" not in SERVICES[name]
        assert SERVICES[name]["networks"] == ["back"]
    assert STACK["networks"]["back"]["internal"] is True


@pytest.mark.parametrize(("service", "variable"), [("backend", "BACKEND"), ("nginx", "EDGE")])
def test_ports_are_open_to_this_machine_alone_unless_told_otherwise(service, variable):
    for port in SERVICES[service]["ports"]:
        assert port.startswith("${" + variable + "_ADDRESS:-127.0.0.1}:")


def test_the_backend_waits_for_a_healthy_database_and_a_finished_migrate():
    assert SERVICES["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    waits_for = SERVICES["backend"]["depends_on"]
    assert waits_for["db"] == {"condition": "service_healthy"}
    assert waits_for["migrate"] == {"condition": "service_completed_successfully"}


def test_a_stopping_backend_has_more_time_than_gunicorn_gives_its_requests():
    grace = int(EXAMPLE["BACKEND_STOP_GRACE_PERIOD"].removesuffix("s"))
    assert SERVICES["backend"]["stop_grace_period"] == "${BACKEND_STOP_GRACE_PERIOD:-40s}"
    config = (settings.BASE_DIR / "gunicorn_config.py").read_text()
    [graceful] = re.findall(r'"GUNICORN_GRACEFUL_TIMEOUT_S", (\d+)', config)
    assert grace > int(graceful)


def test_every_service_has_a_limit_and_no_right_that_it_does_not_need():
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if service["restart"] != "no":
            assert service["mem_limit"], name


def test_gunicorn_believes_nginx_and_nobody_else():
    front = "${FRONT_NETWORK:-172.30.57}"
    assert SERVICES["nginx"]["networks"]["front"]["ipv4_address"] == f"{front}.2"
    believed = SERVICES["backend"]["environment"]["FORWARDED_ALLOW_IPS"]
    assert believed == "${FORWARDED_ALLOW_IPS:-" + front + ".2}"


def test_the_databases_log_holds_no_patient():
    assert "-clog_min_error_statement=panic" in SERVICES["db"]["command"]
    assert "-clog_error_verbosity=terse" in SERVICES["db"]["command"]
