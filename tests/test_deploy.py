"""The examples under deploy/ ask for nothing that /metrics does not tell."""

import json
import re

import promql_parser
import pytest
import yaml
from django.conf import settings
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

DEPLOY = settings.BASE_DIR / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
ALERTS = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
PANELS = DASHBOARD["panels"]

# Prometheus' own: whether it got an answer.
OF_PROMETHEUS = {"up"}


def asked_for(expression):
    """The metrics that the expression names. Raises ValueError where it is no PromQL."""
    names = set()

    def remember(node):
        if isinstance(node, promql_parser.VectorSelector):
            names.add(node.name)

    promql_parser.walk(promql_parser.parse(expression.replace("$__rate_interval", "5m")), remember)
    return names


def leaves(value, path=""):
    """Each value of the JSON with where it stands."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, f"{path}/{key}")
    else:
        yield path, value


def metric_of(sample):
    return re.sub("_(bucket|count|sum|total|created)$", "", sample)


@pytest.fixture
def told(anyone, measured, db):
    """The names of all that /metrics tells once a request was answered."""
    anyone.get("/api/medics/facilities")
    families = list(
        text_string_to_metric_families(anyone.get("/metrics", headers=measured).content.decode())
    )
    return {sample.name for family in families for sample in family.samples} | {
        # Of a family without a sample, as while no referral was completed.
        family.name
        for family in families
    }


def test_each_alert_asks_for_what_is_told(told):
    for rule in ALERTS:
        names = asked_for(rule["expr"])
        assert names
        assert names <= told | OF_PROMETHEUS, rule["alert"]


def test_every_metric_and_every_alert_is_explained(told):
    guide = (settings.BASE_DIR / "docs" / "monitoring.md").read_text()
    explained = set(re.findall(r"^\| `(\w+)` \|", guide.split("## Alerts")[0], re.MULTILINE))
    alerts = set(re.findall(r"`(TetraDx\w+)`", guide))

    ours = {name for name in told if name.startswith("tetradx_")}
    assert explained <= told
    assert {metric_of(name) for name in ours} <= {metric_of(name) for name in explained}
    assert alerts == {rule["alert"] for rule in ALERTS}


def test_each_alert_says_what_is_wrong_and_how_bad_that_is():
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]


def test_prometheus_reads_the_alerts_and_asks_where_metrics_are():
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]

    assert [PROMETHEUS / name for name in config["rule_files"]] == [PROMETHEUS / "alerts.yml"]
    assert job["job_name"] == "tetradx"
    assert job["metrics_path"] == "/metrics"


def test_each_panel_asks_for_what_is_told(told):
    for panel in PANELS:
        for target in panel["targets"]:
            names = asked_for(target["expr"])
            assert names
            assert names <= told, panel["title"]


def test_the_dashboard_lets_its_reader_choose_the_source_and_the_instance():
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == [
        "datasource",
        "instance",
    ]
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert '{instance=~"$instance"' in target["expr"]


def test_no_two_panels_stand_in_the_same_place():
    cells = [
        (x, y)
        for panel in PANELS
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_grafana_knows_all_that_the_dashboard_says():
    register_default_plugins()
    read = Dashboard.from_json(DASHBOARD)
    known = json.loads(JSONEncoder(sort_keys=True).encode(read))

    assert set(leaves(DASHBOARD)) <= set(leaves(known))
