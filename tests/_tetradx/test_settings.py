"""Settings as each environment gets them: run from a copy of the file, whose var/ is its own."""

import math
import os
import runpy
import shutil
import stat
import subprocess
import sys
from datetime import timedelta
from unittest import mock

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

PRODUCTION = {
    "SECRET_KEY": "secret-key" * 5,
    "JWT_SIGNING_KEY": "signing-jw" * 5,
    "ALLOWED_HOSTS": "api.example",
    "DATABASE_URL": "postgres://ama:secret@db.example:5433/tetradx",
}
PREDECESSOR = {
    "DB_NAME": "old",
    "DB_USER": "efua",
    "DB_PASSWORD": "p@ss/w:rd",
    "DB_HOST": "old.example",
    "DB_PORT": "6432",
}


def without(environment, *names):
    return {name: value for name, value in environment.items() if name not in names}


@pytest.fixture
def base_dir(tmp_path):
    (tmp_path / "_tetradx").mkdir()
    shutil.copy(settings.BASE_DIR / "_tetradx" / "settings.py", tmp_path / "_tetradx")
    return tmp_path


@pytest.fixture
def load(base_dir):
    """The settings of an environment with these variables and no other."""

    def load(environment):
        with mock.patch.dict(os.environ, environment, clear=True):
            return runpy.run_path(str(base_dir / "_tetradx" / "settings.py"))

    return load


# Production


def test_production_is_the_default(load):
    loaded = load(PRODUCTION)

    assert loaded["ENVIRONMENT"] == "production"
    assert loaded["DEBUG"] is False


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("SECRET_KEY", "SECRET_KEY"),
        ("JWT_SIGNING_KEY", "JWT_SIGNING_KEY"),
        ("ALLOWED_HOSTS", "ALLOWED_HOSTS"),
        ("DATABASE_URL", "DATABASE_URL, or DB_NAME"),
    ],
)
def test_production_does_not_start_without_a_value(load, base_dir, missing, named):
    with pytest.raises(ImproperlyConfigured, match=named):
        load(without(PRODUCTION, missing))
    assert not (base_dir / "var").exists()


@pytest.mark.parametrize(
    "empty", ["SECRET_KEY", "JWT_SIGNING_KEY", "ALLOWED_HOSTS", "DATABASE_URL"]
)
def test_production_does_not_start_with_an_empty_value(load, empty):
    with pytest.raises(ImproperlyConfigured, match=empty):
        load({**PRODUCTION, empty: ""})


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY"])
@pytest.mark.parametrize("environment", ["production", "demo", "development", "test"])
def test_a_short_key_is_refused_everywhere(load, name, environment):
    with pytest.raises(ImproperlyConfigured, match=f"{name} is too short"):
        load({**PRODUCTION, "ENVIRONMENT": environment, name: "k" * 49})


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY"])
@pytest.mark.parametrize("key", ["k" * 60, "abab" * 20, f"django-insecure-{'secret-key' * 5}"])
def test_production_refuses_a_key_that_can_be_guessed(load, name, key):
    with pytest.raises(ImproperlyConfigured, match=f"{name} can be guessed") as refusal:
        load({**PRODUCTION, name: key})
    assert key not in str(refusal.value)


@pytest.mark.parametrize("environment", ["production", "demo", "development", "test"])
@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
def test_one_key_for_two_purposes_is_refused(load, name, environment):
    with pytest.raises(ImproperlyConfigured, match="JWT_SIGNING_KEY is SECRET_KEY, too"):
        load({**PRODUCTION, "ENVIRONMENT": environment, name: PRODUCTION["JWT_SIGNING_KEY"]})


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY"])
def test_the_example_has_no_key_that_anybody_could_leave_in_place(name):
    assert f"\n{name}=\n" in (settings.BASE_DIR / ".env.example").read_text()


@pytest.mark.parametrize("hosts", ["*", "api.example,*", "*.example"])
def test_production_names_its_hosts(load, hosts):
    with pytest.raises(ImproperlyConfigured, match=r"ALLOWED_HOSTS has a \*"):
        load({**PRODUCTION, "ALLOWED_HOSTS": hosts})


@pytest.mark.parametrize("name", ["CORS_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS"])
@pytest.mark.parametrize(
    "origin",
    ["*", "https://*", "https://*.example", "a.example", "null", "https://a.example/", "ftp://a"],
)
def test_production_names_its_origins(load, name, origin):
    with pytest.raises(ImproperlyConfigured, match=f"{name}: .* is no origin"):
        load({**PRODUCTION, name: f"https://good.example:8443,{origin}"})


@pytest.mark.parametrize("debug", ["true", "1", "on"])
def test_production_does_not_start_with_debug(load, debug):
    with pytest.raises(ImproperlyConfigured, match="DEBUG is set"):
        load({**PRODUCTION, "DEBUG": debug})
    assert load({**PRODUCTION, "DEBUG": "false"})["DEBUG"] is False


@pytest.mark.parametrize("path", ["", "admin", "/admin/", "api/", "api/admin/", "static/", "a b/"])
def test_a_path_where_the_admin_site_cannot_be_is_refused(load, path):
    with pytest.raises(ImproperlyConfigured, match="ADMIN_PATH"):
        load({**PRODUCTION, "ADMIN_PATH": path})
    assert load({**PRODUCTION, "ADMIN_PATH": "back/office/"})["ADMIN_PATH"] == "back/office/"


@pytest.mark.parametrize("region", ["gh", "Gh", "XX", "GHA", "", "001", " GH"])
def test_a_region_of_no_numbers_is_refused(load, region):
    with pytest.raises(ImproperlyConfigured, match=r"PHONE_DEFAULT_REGION is .* such as GH"):
        load({**PRODUCTION, "PHONE_DEFAULT_REGION": region})
    assert load({**PRODUCTION, "PHONE_DEFAULT_REGION": "NG"})["PHONE_DEFAULT_REGION"] == "NG"


def test_a_refusal_does_not_tell_the_key(load):
    with pytest.raises(ImproperlyConfigured) as refusal:
        load({**PRODUCTION, "SECRET_KEY": "hunter2"})

    assert "hunter2" not in str(refusal.value)


def test_production_is_strict(load):
    loaded = load(PRODUCTION)

    assert loaded["ALLOWED_HOSTS"] == ["api.example"]
    assert loaded["SECURE_SSL_REDIRECT"] is True
    assert loaded["SECURE_HSTS_SECONDS"] == 365 * 24 * 3600
    # The domain's other hosts are not this service's.
    assert loaded["SECURE_HSTS_INCLUDE_SUBDOMAINS"] is False
    assert loaded["SECURE_HSTS_PRELOAD"] is False
    assert loaded["SESSION_COOKIE_SECURE"] is True
    assert loaded["CSRF_COOKIE_SECURE"] is True
    assert loaded["CORS_ALLOWED_ORIGINS"] == []
    assert loaded["CORS_ALLOWED_ORIGIN_REGEXES"] == []
    assert "SECURE_PROXY_SSL_HEADER" not in loaded
    assert "demo" not in loaded["INSTALLED_APPS"]
    assert "debug_toolbar" not in loaded["INSTALLED_APPS"]


def test_https_for_the_whole_domain_has_to_be_asked_for(load):
    whole = {**PRODUCTION, "SECURE_HSTS_INCLUDE_SUBDOMAINS": "true"}

    assert load(whole)["SECURE_HSTS_INCLUDE_SUBDOMAINS"] is True
    assert load(whole)["SECURE_HSTS_PRELOAD"] is False
    assert load({**whole, "SECURE_HSTS_PRELOAD": "true"})["SECURE_HSTS_PRELOAD"] is True
    with pytest.raises(ImproperlyConfigured, match="SECURE_HSTS_INCLUDE_SUBDOMAINS"):
        load({**PRODUCTION, "SECURE_HSTS_PRELOAD": "true"})


def test_production_without_https_has_to_be_asked_for(load):
    loaded = load({**PRODUCTION, "SERVED_OVER_HTTPS": "false"})

    assert loaded["SECURE_SSL_REDIRECT"] is False
    assert loaded["SESSION_COOKIE_SECURE"] is False
    assert loaded["CSRF_COOKIE_SECURE"] is False


def test_a_proxy_may_be_the_one_that_redirects(load):
    loaded = load({**PRODUCTION, "SECURE_SSL_REDIRECT": "false"})

    assert loaded["SECURE_SSL_REDIRECT"] is False
    assert loaded["SESSION_COOKIE_SECURE"] is True


@pytest.mark.parametrize("environment", ["production", "demo", "development", "test"])
def test_operators_show_a_second_factor_in_production(load, environment):
    loaded = load({**PRODUCTION, "ENVIRONMENT": environment})

    assert loaded["ADMIN_SECOND_FACTOR"] is (environment == "production")


def test_lists_are_separated_by_commas(load):
    loaded = load(
        {
            **PRODUCTION,
            "ALLOWED_HOSTS": "api.example,www.example",
            "CORS_ALLOWED_ORIGINS": "https://a.example,https://b.example",
        }
    )

    assert loaded["ALLOWED_HOSTS"] == ["api.example", "www.example"]
    assert loaded["CORS_ALLOWED_ORIGINS"] == ["https://a.example", "https://b.example"]


def test_tokens_live_as_long_as_the_environment_says(load):
    said = {"ACCESS_TOKEN_MINUTES": "5", "REFRESH_TOKEN_HOURS": "24", "SESSION_DAYS": "30"}
    loaded = load({**PRODUCTION, **said})

    assert loaded["SIMPLE_JWT"]["ACCESS_TOKEN_LIFETIME"] == timedelta(minutes=5)
    assert loaded["SIMPLE_JWT"]["REFRESH_TOKEN_LIFETIME"] == timedelta(hours=24)
    assert loaded["SESSION_LIFETIME"] == timedelta(days=30)
    with pytest.raises(ImproperlyConfigured, match="SESSION_DAYS"):
        load({**PRODUCTION, "SESSION_DAYS": "0"})


def test_django_does_not_start_without_a_value_and_says_which():
    program = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=settings.BASE_DIR,
        env={**without(PRODUCTION, "JWT_SIGNING_KEY"), "ENVIRONMENT": "production"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert program.returncode != 0
    assert "JWT_SIGNING_KEY" in program.stderr.splitlines()[-1]


# The database


def database(loaded):
    config = loaded["DATABASES"]["default"]
    return {key: config[key] for key in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")}


OF_THE_URL = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": "tetradx",
    "USER": "ama",
    "PASSWORD": "secret",
    "HOST": "db.example",
    "PORT": 5433,
}


def test_the_database_is_that_of_the_url(load):
    assert database(load(PRODUCTION)) == OF_THE_URL


def test_the_predecessors_variables_work(load):
    assert database(load({**without(PRODUCTION, "DATABASE_URL"), **PREDECESSOR})) == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "old",
        "USER": "efua",
        "PASSWORD": "p@ss/w:rd",
        "HOST": "old.example",
        "PORT": "6432",
    }


def test_the_predecessors_port_may_be_left_out(load):
    environment = without({**PRODUCTION, **PREDECESSOR}, "DATABASE_URL", "DB_PORT")

    assert database(load(environment))["PORT"] == "5432"


def test_the_url_wins_over_the_predecessors_variables(load):
    assert database(load({**PRODUCTION, **PREDECESSOR})) == OF_THE_URL


@pytest.mark.parametrize("missing", ["DB_USER", "DB_PASSWORD", "DB_HOST"])
def test_the_predecessors_variables_are_all_needed(load, missing):
    with pytest.raises(ImproperlyConfigured, match=missing):
        load(without({**PRODUCTION, **PREDECESSOR}, "DATABASE_URL", missing))


def test_characters_of_the_url_may_be_percent_encoded(load):
    url = "postgres://ama:p%40ss%2Fw%3Ard@%2Frun%2Fpostgresql/tetradx"

    loaded = database(load({**PRODUCTION, "DATABASE_URL": url}))

    assert loaded["PASSWORD"] == "p@ss/w:rd"
    assert loaded["HOST"] == "/run/postgresql"


def test_statements_and_locks_time_out(load):
    options = load(PRODUCTION)["DATABASES"]["default"]["OPTIONS"]["options"]

    assert "-c statement_timeout=30000" in options
    assert "-c lock_timeout=10000" in options
    assert "-c idle_in_transaction_session_timeout=60000" in options


@pytest.mark.parametrize(("limit", "unanswered"), [("30000", 45), ("0", math.inf)])
def test_the_database_is_given_up_long_after_its_own_limit_on_statements(load, limit, unanswered):
    loaded = load({**PRODUCTION, "DB_STATEMENT_TIMEOUT_MS": limit})

    assert loaded["DB_UNANSWERED_SECONDS"] == unanswered


def test_every_time_limit_of_the_database_has_a_variable(load):
    database = load(
        {
            **PRODUCTION,
            "CONN_MAX_AGE": "1",
            "DB_CONNECT_TIMEOUT_S": "2",
            "DB_STATEMENT_TIMEOUT_MS": "3",
            "DB_LOCK_TIMEOUT_MS": "4",
            "DB_IDLE_IN_TRANSACTION_MS": "0",
            "DB_APPLICATION_NAME": "ward",
        }
    )["DATABASES"]["default"]

    assert database["CONN_MAX_AGE"] == 1
    assert database["CONN_HEALTH_CHECKS"] is True
    assert database["OPTIONS"]["connect_timeout"] == 2
    assert database["OPTIONS"]["application_name"] == "ward"
    assert database["OPTIONS"]["options"] == (
        "-c statement_timeout=3 -c lock_timeout=4"
        " -c idle_in_transaction_session_timeout=0 -c jit=off"
    )


@pytest.mark.django_db
def test_sessions_are_as_the_settings_say():
    with connection.cursor() as cursor:
        for name, value in settings.DB_SESSION_SETTINGS.items():
            cursor.execute("SELECT setting FROM pg_settings WHERE name = %s", [name])
            assert cursor.fetchone() == (str(value),)


def test_a_pool_of_sessions_is_sent_no_session_settings(load):
    database = load({**PRODUCTION, "DB_POOLING": "transaction"})["DATABASES"]["default"]

    assert "options" not in database["OPTIONS"]
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert "DISABLE_SERVER_SIDE_CURSORS" not in load(PRODUCTION)["DATABASES"]["default"]


def test_a_pooling_that_is_unknown_is_refused(load):
    with pytest.raises(ImproperlyConfigured, match="DB_POOLING"):
        load({**PRODUCTION, "DB_POOLING": "session"})


# The cache


def test_what_redis_holds_is_json_and_never_unpickled(load):
    cache = load({**PRODUCTION, "REDIS_URL": "redis://cache.example"})["CACHES"]["default"]

    assert cache["OPTIONS"]["serializer"] == "_tetradx.cache.serializer.JSONSerializer"
    assert cache["OPTIONS"]["socket_timeout"] == 1


# The keys


def test_earlier_keys_are_still_believed(load):
    earlier = ["a" * 50, "b" * 50]

    loaded = load({**PRODUCTION, "SECRET_KEY_FALLBACKS": ",".join(earlier)})

    assert loaded["SECRET_KEY_FALLBACKS"] == earlier
    assert load(PRODUCTION)["SECRET_KEY_FALLBACKS"] == []


def test_a_short_earlier_key_is_refused_and_not_repeated(load):
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FALLBACKS") as refusal:
        load({**PRODUCTION, "SECRET_KEY_FALLBACKS": f"{'a' * 50},hunter2"})
    assert "hunter2" not in str(refusal.value)


# The other environments


@pytest.mark.parametrize("environment", ["staging", "Production", ""])
def test_an_unknown_environment_is_refused(load, environment):
    with pytest.raises(ImproperlyConfigured, match="ENVIRONMENT"):
        load({**PRODUCTION, "ENVIRONMENT": environment})


@pytest.mark.parametrize("environment", ["demo", "development", "test"])
def test_a_database_is_needed_everywhere(load, environment):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        load({"ENVIRONMENT": environment})


def test_the_demo_makes_its_keys_once(load, base_dir):
    demo = {"ENVIRONMENT": "demo", "DATABASE_URL": PRODUCTION["DATABASE_URL"]}

    first, second = load(demo), load(demo)

    for name in ("SECRET_KEY", "JWT_SIGNING_KEY"):
        assert first[name] == second[name]
        assert len(first[name]) >= 50
        path = base_dir / "var" / name.lower()
        assert path.read_text() == first[name]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first["SECRET_KEY"] != first["JWT_SIGNING_KEY"]


def test_the_demo_takes_a_key_that_it_is_given(load, base_dir):
    loaded = load({**PRODUCTION, "ENVIRONMENT": "demo"})

    assert loaded["SECRET_KEY"] == PRODUCTION["SECRET_KEY"]
    assert not (base_dir / "var").exists()


@pytest.mark.parametrize("environment", ["demo", "development", "test"])
def test_debug_is_on_in_development_alone(load, environment):
    loaded = load({**PRODUCTION, "ENVIRONMENT": environment})

    ours = "_tetradx.http.middleware.DevelopmentMiddleware"
    toolbar = "debug_toolbar.middleware.DebugToolbarMiddleware"
    shown = [name for name in loaded["MIDDLEWARE"] if name in (ours, toolbar)]
    assert shown == ([ours, toolbar] if environment == "development" else [])
    assert loaded["DEBUG"] is (environment == "development")
    assert ("debug_toolbar" in loaded["INSTALLED_APPS"]) is (environment == "development")


def test_only_tests_hash_passwords_fast(load):
    for environment in ("production", "demo", "development"):
        hashers = load({**PRODUCTION, "ENVIRONMENT": environment})["PASSWORD_HASHERS"]
        assert hashers[0] == "authentication.hashers.OneAtATimeArgon2Hasher"
        assert not any("MD5" in hasher for hasher in hashers)
    hashers = load({**PRODUCTION, "ENVIRONMENT": "test"})["PASSWORD_HASHERS"]
    assert "MD5" in hashers[0]


@pytest.mark.parametrize("url", ["nonsense", "mysql://user:secret@host/name"])
def test_a_database_url_of_another_kind_is_refused_and_not_repeated(load, url):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL is not of the form") as refusal:
        load({**PRODUCTION, "DATABASE_URL": url})
    assert url not in str(refusal.value)


# Metrics

MIDDLEWARE = "_tetradx.observability.metrics.MetricsMiddleware"


def test_nothing_is_measured_unless_a_token_or_an_address_is_set(load):
    loaded = load(PRODUCTION)

    assert loaded["METRICS"] is False
    assert MIDDLEWARE not in loaded["MIDDLEWARE"]


@pytest.mark.parametrize(
    "environment", [{"METRICS_TOKEN": "m" * 20}, {"METRICS_ADDRESS": "10.0.0.5:9464"}]
)
def test_either_has_requests_measured_as_soon_as_they_have_a_record(load, environment):
    loaded = load({**PRODUCTION, **environment})

    assert loaded["METRICS"] is True
    before = loaded["MIDDLEWARE"][: loaded["MIDDLEWARE"].index(MIDDLEWARE)]
    assert before == [
        "_tetradx.http.middleware.RequestRecordMiddleware",
        "_tetradx.http.security_headers.SecurityHeadersMiddleware",
        "_tetradx.http.middleware.ProbeMiddleware",
    ]


@pytest.mark.parametrize("environment", ["production", "demo", "development", "test"])
def test_a_short_metrics_token_is_refused_and_not_repeated(load, environment):
    with pytest.raises(ImproperlyConfigured, match="METRICS_TOKEN is too short") as refusal:
        load({**PRODUCTION, "ENVIRONMENT": environment, "METRICS_TOKEN": "guessable"})
    assert "guessable" not in str(refusal.value)


@pytest.mark.parametrize("address", ["9464", "10.0.0.5", "10.0.0.5:", ":9464", "host:http"])
def test_a_metrics_address_without_host_and_port_is_refused(load, address):
    with pytest.raises(ImproperlyConfigured, match="METRICS_ADDRESS"):
        load({**PRODUCTION, "METRICS_ADDRESS": address})


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "[::1]:9464", "backend:9464"])
def test_the_metrics_port_is_that_of_the_address(load, address):
    assert load({**PRODUCTION, "METRICS_ADDRESS": address})["METRICS_PORT"] == "9464"


@pytest.mark.parametrize("name", ["REFERRALS_PER_HOUR", "STATUS_CHANGES_PER_HOUR"])
def test_a_limit_is_one_or_more(load, name):
    assert load(PRODUCTION | {name: "1"})[name] == 1
    for wrong in ("0", "-1"):
        with pytest.raises(ImproperlyConfigured, match=name):
            load(PRODUCTION | {name: wrong})
