"""The dashboard and the alerts ask for what there is, and each alert says what to do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.metrics import Described, PrometheusMetrics

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "monitoring" / "grafana.json").read_text())
[GROUP] = yaml.safe_load((DOCS / "monitoring" / "alerts.yml").read_text())["groups"]
ALERTS: list[dict[str, Any]] = GROUP["rules"]
ALERT_NAMES = [alert["alert"] for alert in ALERTS]
RUNNING = (DOCS / "running.md").read_text()

METRICS = list(PrometheusMetrics().describe())
SERIES_OF = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def series() -> Iterator[tuple[str, Described]]:
    """The names under which each metric can be asked for."""
    for metric in METRICS:
        for ending in SERIES_OF[metric.kind]:
            yield metric.name + ending, metric


SERIES = dict(series())
PANEL_QUERIES = [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])
]
QUERIES = [*PANEL_QUERIES, *(alert["expr"] for alert in ALERTS)]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_metrics_labels_and_values_that_exist(query: str):
    asked = re.findall(r"(latchkey_\w+)(?:\{([^}]*)\})?", query)
    assert asked or query.startswith("up{")
    for name, selector in asked:
        assert name in SERIES, name
        labels = SERIES[name].labels
        for label, comparison, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', selector):
            if label == "instance":  # which Prometheus adds
                continue
            assert label in labels, (name, label)
            if labels[label] and comparison != "=~":
                assert value in labels[label], (name, label, value)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_groups_by_labels_that_its_metrics_have(query: str):
    has = {"instance", "le"}
    for name in re.findall(r"latchkey_\w+", query):
        has |= SERIES[name].labels.keys()
    for by in re.findall(r"by \(([^)]*)\)", query):
        assert set(by.split(", ")) <= has, by


@pytest.mark.parametrize("query", QUERIES)
def test_the_brackets_of_a_query_match(query: str):
    open_brackets: list[str] = []
    for letter in re.sub(r'"[^"]*"', "", query):
        if letter in "([{":
            open_brackets.append(letter)
        elif letter in ")]}":
            assert open_brackets.pop() + letter in ("()", "[]", "{}")
    assert open_brackets == []


def test_every_metric_is_on_the_dashboard():
    shown = {SERIES[name].name for name in re.findall(r"latchkey_\w+", " ".join(PANEL_QUERIES))}
    assert shown == {metric.name for metric in METRICS}


def test_no_panel_lies_on_another():
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


@pytest.mark.parametrize("alert", ALERTS, ids=ALERT_NAMES)
def test_an_alert_says_how_urgent_it_is_and_what_is_the_matter(alert: dict[str, Any]):
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert len(alert["annotations"]["summary"]) > 20


def test_the_page_says_for_each_alert_what_to_do_and_for_no_other():
    told = re.findall(r"^### `(Latchkey\w+)`\n\n(\S.+)", RUNNING, re.MULTILINE)
    assert [name for name, _ in told] == ALERT_NAMES


def test_no_metric_has_a_label_that_names_one_thing():
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels == {"code", "outcome", "part", "reason", "stage", "status", "version", "why"}


@pytest.mark.parametrize("metric", METRICS, ids=[metric.name for metric in METRICS])
def test_a_metric_is_named_after_what_it_counts_and_says_what_that_is(metric: Described):
    assert re.fullmatch(r"latchkey_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind != "histogram" or metric.name.endswith("_seconds")
    assert metric.meaning.endswith(".")
