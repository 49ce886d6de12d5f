"""What stands in `docs/monitoring/` uses only names that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from oneiric.metrics import METRICS
from tests.architecture.source import ROOT
from tests.docs.promql import QueryError, grouped, selectors, tokens

FOLDER = ROOT / "docs" / "monitoring"
EVENTS = ROOT / "docs" / "reference" / "log-events.md"
OUTSIDE = {"up": ("job",)}
"""What Prometheus makes itself."""
ATTACHED = ("job", "instance", "le")
"""Labels that every series has from outside, and those of buckets."""


def alerts() -> list[dict[str, Any]]:
    return rules("alerts.yml")


def rules(name: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))[
        "panels"
    ]
    return found


def queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in alerts())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def wrong(query: str) -> Iterator[str]:
    """Give each name in *query* that nothing has."""
    known: set[str] = set(ATTACHED)
    for name, labels in selectors(query):
        metric = METRICS.get(re.sub(r"_(bucket|sum|count)$", "", name))
        if name in OUTSIDE:
            continue
        if metric is None or (metric.name == name) == (metric.kind == "histogram"):
            yield name
            continue
        known |= set(metric.labels)
        yield from (f"{name}{{{label}}}" for label in labels if label not in known)
    yield from (f"by {label}" for label in grouped(query) if label not in known)


@pytest.mark.parametrize("query", [*queries()])
def test_claim_of_5_7_every_query_uses_names_that_exist(query: str) -> None:
    """Metrics of the table, with their own labels; buckets of histograms only."""
    assert list(wrong(query)) == []


def test_every_alert_says_what_is_wrong_with_labels_that_it_has() -> None:
    """Names are unique, and what a text mentions is grouped by or the metric's own."""
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        mentioned = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        kept = set(grouped(rule["expr"])) or {
            label
            for name, _ in selectors(rule["expr"])
            for label in (*ATTACHED, *(METRICS[name].labels if name in METRICS else ()))
        }
        assert mentioned <= kept, rule["alert"]
        assert rule["labels"]["severity"] in ("info", "warning", "critical")


def test_the_dashboard_shows_every_room_and_overlaps_nowhere() -> None:
    """Ids and places are unique."""
    ids = [panel["id"] for panel in panels()]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(set(ids)) == len(set(places)) == len(panels())


@pytest.mark.parametrize("rule", rules("loki-rules.yml"), ids=lambda rule: rule["alert"])
def test_claim_of_5_7_every_log_rule_uses_events_that_exist(rule: dict[str, Any]) -> None:
    """Events of the reference page, and keys that they have there."""
    page = EVENTS.read_text("utf-8")
    (event,) = re.findall(r'event="([^"]+)"', rule["expr"])
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{event}` |")]
    section = page[: page.index(row)].rpartition("\nEvents ")[2]

    assert list(tokens(rule["expr"]))
    keys = set(re.findall(r"`(\w+)`", row)) | set(re.findall(r"`(\w+)`", section))
    assert set(grouped(rule["expr"])) - {"instance"} <= keys


@pytest.mark.parametrize(
    "query",
    ["sum(rate(x[5m])", "x{a=}b", "rate(x[5 minutes])", "summ(x)", "x = `y`", "(x}", "x 5m"],
)
def test_a_query_that_is_wrong_is_not_read(query: str) -> None:
    """The reader is strict: a bracket too few, a unit, a function that is none."""
    with pytest.raises(QueryError):
        list(selectors(query))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("oneiric_no_total > 0", ["oneiric_no_total"]),
        ("oneiric_run_duration_seconds > 1", ["oneiric_run_duration_seconds"]),
        ("oneiric_runs_total_bucket", ["oneiric_runs_total_bucket"]),
        ('oneiric_runs_total{fate="x"}', ["oneiric_runs_total{fate}"]),
        ("sum by (fate) (oneiric_runs_total)", ["by fate"]),
    ],
)
def test_a_name_that_nothing_has_is_found(query: str, found: list[str]) -> None:
    """Or one of the right metric with labels of another."""
    assert list(wrong(query)) == found
