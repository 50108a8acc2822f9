import os
import re
import subprocess

import pytest
from django.conf import settings

from _tetradx.middleware import SANE_REQUEST_ID

FOLDER = settings.BASE_DIR / "deploy" / "nginx"
CONFIG = (FOLDER / "nginx.conf").read_text()
LOCATIONS = (FOLDER / "site" / "locations.conf").read_text()


@pytest.fixture
def choose_listeners(tmp_path):
    """Runs the script with these files in the folder of certificates; gives what it wrote."""

    def choose_listeners(*files):
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
            },
            check=True,
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


@pytest.mark.parametrize("code", [400, 404, 413, 429, 503])
def test_nginx_answers_in_the_envelope(code):
    assert f"""return {code} '{{"status":"error","code":"{code}","detail":""" in LOCATIONS


def test_nginx_lets_go_of_a_connection_before_gunicorn_does():
    [seconds] = re.findall(r"upstream backend {.*keepalive_timeout (\d+)s;", CONFIG, re.DOTALL)
    config = (settings.BASE_DIR / "gunicorn_config.py").read_text()
    [keepalive] = re.findall(r'"GUNICORN_KEEPALIVE_S", (\d+)', config)

    assert int(seconds) < int(keepalive)
