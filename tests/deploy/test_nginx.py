import os
import re
import subprocess

import pytest
from django.conf import settings

from _tetradx.http.middleware import SANE_REQUEST_ID

FOLDER = settings.BASE_DIR / "deploy" / "nginx"
CONFIG = (FOLDER / "nginx.conf").read_text()
LOCATIONS = (FOLDER / "site" / "locations.conf").read_text()
OWN_ANSWER = (FOLDER / "site" / "own_answer.conf").read_text()


@pytest.fixture
def choose_listeners(tmp_path):
    """Runs the script with these files in the folder of certificates; gives what it wrote."""

    def choose_listeners(*files, origins="", at_once="300"):
        tls, conf = tmp_path / "tls", tmp_path / "conf"
        tls.mkdir()
        for name, content in files:
            (tls / name).write_text(content)
        subprocess.run(
            [FOLDER / "choose-listeners.sh"],
            env={
                "PATH": os.environ["PATH"],
                "CONF": str(conf),
                "TLS": str(tls),
                "MAX_BODY_BYTES": "1048576",
                "CORS_ALLOWED_ORIGINS": origins,
                "EDGE_REQUESTS_AT_ONCE": at_once,
            },
            check=True,
            stderr=subprocess.PIPE,
            text=True,
        )
        return {file.name: file.read_text() for file in conf.iterdir()}

    return choose_listeners


def test_https_is_served_where_there_is_a_certificate(choose_listeners):
    written = choose_listeners(("fullchain.pem", "certificate"), ("privkey.pem", "key"))

    assert written["listeners.conf"] == "include /etc/nginx/site/https.conf;\n"


@pytest.mark.parametrize(
    "files",
    [
        [],
        [("fullchain.pem", "certificate")],
        [("privkey.pem", "key")],
        [("fullchain.pem", ""), ("privkey.pem", "")],
    ],
)
def test_plain_http_is_served_without_a_whole_certificate(choose_listeners, files):
    assert choose_listeners(*files)["listeners.conf"] == "include /etc/nginx/site/http.conf;\n"


def test_nginx_refuses_what_the_backend_would(choose_listeners):
    assert choose_listeners()["body-size.conf"] == "client_max_body_size 1048576;\n"


def test_the_requests_of_an_address_are_limited_to_so_many_at_once(choose_listeners):
    assert choose_listeners(at_once="12")["at-once.conf"] == "limit_conn at_once_per_address 12;\n"
    assert "limit_conn_zone $binary_remote_addr zone=at_once_per_address:10m;" in CONFIG
    # As its other limit, in the envelope.
    assert "limit_conn_status 429;" in CONFIG
    assert "error_page 429 = @too_many;" in LOCATIONS


@pytest.mark.parametrize("at_once", ["", "0", "-1", "1.5", "many", "100000", "1; return 200"])
def test_it_does_not_start_with_what_is_no_number_of_requests(choose_listeners, at_once):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        choose_listeners(at_once=at_once)

    assert f"EDGE_REQUESTS_AT_ONCE is {at_once}; it is a number" in refused.value.stderr


def test_browser_clients_of_the_allowed_origins_may_read_its_own_answers(choose_listeners):
    written = choose_listeners(origins="https://app.example, http://[::1]:5173")

    assert written["origins.conf"] == (
        "map $http_origin $allowed_origin {\n"
        '    default "";\n'
        '    "https://app.example" $http_origin;\n'
        '    "http://[::1]:5173" $http_origin;\n'
        "}\n"
    )
    assert "add_header Access-Control-Allow-Origin $allowed_origin always;" in OWN_ANSWER


def test_it_does_not_start_with_what_is_no_origin(choose_listeners):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        choose_listeners(origins="https://app.example; return 200")

    assert "names https://app.example;, which is no origin" in refused.value.stderr


def test_what_it_lets_clients_read_is_what_the_backend_does():
    [exposed] = re.findall(r'default "(Retry-After.*)";', CONFIG)

    assert set(exposed.split(", ")) <= set(settings.CORS_EXPOSE_HEADERS)


def test_no_query_is_logged():
    [log_format] = re.findall(r"log_format line (.*?);", CONFIG, re.DOTALL)
    logged = set(re.findall(r"\$(\w+)", log_format))

    assert "path_alone" in logged
    assert not logged & {"request", "request_uri", "args", "query_string", "http_referer", "uri"}
    # Lines about a request quote all of it: there must be none.
    assert re.findall(r"error_log (.*);", CONFIG.split("http {")[1]) == ["/dev/stderr emerg"]


def test_the_rule_for_a_request_id_is_the_backends():
    [rule] = re.findall(r'"~\^(.*)\$" \$http_x_request_id;', CONFIG)

    assert rule == SANE_REQUEST_ID.pattern


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Forwarded-For", "$remote_addr"),
        ("X-Forwarded-Proto", "$scheme"),
        ("X-Request-ID", "$request_id_for_all"),
        ("X-Forwarded-Ssl", '""'),
        ("X-Forwarded-Protocol", '""'),
    ],
)
def test_what_a_client_claims_is_replaced(header, value):
    assert re.findall(rf"proxy_set_header {header} (.*);", LOCATIONS) == [value]


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_what_is_for_the_inside_is_not_served_outside(path):
    assert f"location = {path} {{\n    return 404;\n}}\n" in LOCATIONS


def test_nobody_inside_asks_through_nginx_whether_the_service_is_ready():
    stack = (settings.BASE_DIR / "docker-compose.yml").read_text()
    [asked] = re.findall(r"http://127\.0\.0\.1(/\w+)\]", stack)

    assert asked == "/healthz"


@pytest.mark.parametrize("code", [400, 404, 413, 429, 503])
def test_nginx_answers_in_the_envelope(code):
    answer = f"""return {code} '{{"status":"error","code":"{code}","detail":"""

    assert f"    include /etc/nginx/site/own_answer.conf;\n    {answer}" in LOCATIONS


def test_nginx_lets_go_of_a_connection_before_gunicorn_does():
    [seconds] = re.findall(r"upstream backend {.*keepalive_timeout (\d+)s;", CONFIG, re.DOTALL)
    config = (settings.BASE_DIR / "gunicorn_config.py").read_text()
    [keepalive] = re.findall(r'"GUNICORN_KEEPALIVE_S", (\d+)', config)

    assert int(seconds) < int(keepalive)
