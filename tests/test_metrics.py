"""The table of metrics is closed, and the registry keeps within its bounds."""

import re
import threading
from pathlib import Path

import pytest

from oneiric.core.observer import Observer
from oneiric.errors import InvalidError
from oneiric.metrics import METRICS, MOST_SERIES, Distribution, Metrics
from oneiric.runtime.measures import Measures

DONE = "oneiric_queue_messages_total"
SWAP = "oneiric_lifecycle_swap_duration_seconds"
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\[\\n"])*)"')
LINE = re.compile(r"(?P<name>[a-z_]+)(\{(?P<labels>.*)\})? (?P<value>\S+)")


def lines(metrics: Metrics) -> dict[str, str]:
    """Return each sample of the text by name and labels, as written."""
    told = [line for line in metrics.prometheus().splitlines() if not line.startswith("#")]
    return dict(line.rsplit(" ", 1) for line in told)


@pytest.mark.parametrize("name", METRICS)
def test_names_follow_the_conventions_of_prometheus(name: str) -> None:
    """Counters end in `_total`, durations are in seconds, nothing ends in what the format adds."""
    metric = METRICS[name]

    assert re.fullmatch(r"(oneiric|process)_[a-z_]+", name)
    assert name.endswith("_total") == (metric.kind == "counter")
    assert not name.endswith(("_bucket", "_sum", "_count", "_ms"))
    assert name.endswith("_seconds") == (metric.unit == "seconds")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help.endswith(".")
    assert not {"le", "quantile"} & set(metric.labels)


def test_every_metric_is_fed_by_code() -> None:
    """No name stands in the table that nothing counts; the activity ones are composed."""
    code = Path(__file__).parents[1] / "oneiric"
    text = "".join(
        file.read_text("utf-8") for file in code.rglob("*.py") if file.name != "metrics.py"
    )
    composed = re.compile(r"oneiric_(activity_\w+_events|remote_sync_(success|failure))_total")

    unfed = [name for name in METRICS if f'"{name}"' not in text and not composed.fullmatch(name)]
    unfed.remove("oneiric_metrics_overflow_total")  # the registry's own

    assert unfed == []


def test_what_measures_hear_is_said_by_somebody() -> None:
    """Each thing that only a caller can tell is told outside of the room's own measures."""
    code = Path(__file__).parents[1] / "oneiric"
    text = "".join(
        file.read_text("utf-8") for file in code.rglob("*.py") if file.name != "measures.py"
    )
    own = vars(Measures).keys() - vars(Observer).keys()
    heard = [name for name in own if callable(getattr(Measures, name)) and not name.startswith("_")]

    assert len(heard) > 5
    assert [name for name in heard if f"measures.{name}" not in text] == []


def test_what_is_not_in_the_table_is_refused_with_the_nearest_name() -> None:
    """A metric of another kind is not in the table either."""
    metrics = Metrics()

    with pytest.raises(InvalidError, match="there is no counter") as caught:
        metrics.count("oneiric_queue_message_total", fate="done")
    assert caught.value.hint == f"did you mean {DONE}?"
    with pytest.raises(InvalidError, match="there is no gauge"):
        metrics.set(DONE, 1, fate="done")


@pytest.mark.parametrize("labels", [{}, {"fate": "done", "more": "x"}, {"fat": "done"}])
def test_other_labels_than_the_metrics_own_are_refused(labels: dict[str, str]) -> None:
    """Too few, too many, others."""
    with pytest.raises(InvalidError, match="labels of oneiric_queue_messages_total are fate"):
        Metrics().count(DONE, 1, **labels)


def test_the_text_is_what_prometheus_reads() -> None:
    """Help and type once per metric; cumulative buckets, sum and count."""
    metrics = Metrics()
    metrics.count(DONE, fate="done")
    metrics.count(DONE, 2, fate="back")
    metrics.set("oneiric_lifecycle_components", 3, domain="adapter")
    for seconds in (0.0001, 0.002, 1_000):
        metrics.observe(SWAP, seconds, domain="adapter")

    text, told = metrics.prometheus(), lines(metrics)

    assert text.endswith("\n")
    assert f"# HELP {DONE} {METRICS[DONE].help}\n# TYPE {DONE} counter\n" in text
    assert text.count(f"# TYPE {DONE} ") == 1
    assert (told[DONE + '{fate="done"}'], told[DONE + '{fate="back"}']) == ("1", "2")
    assert told['oneiric_lifecycle_components{domain="adapter"}'] == "3"
    buckets = [told[key] for key in told if key.startswith(f"{SWAP}_bucket")]
    assert buckets == ["1", "1", "2", "2", "2", "2", "2", "2", "2", "2", "2", "2", "3"]
    assert told[SWAP + '_bucket{domain="adapter",le="+Inf"}'] == "3"
    assert told[SWAP + '_count{domain="adapter"}'] == "3"
    assert told[SWAP + '_sum{domain="adapter"}'] == "1000.0021"
    assert told["oneiric_monitoring_spans_dropped_total"] == "0"  # it has no labels: it is there


def test_any_value_of_a_label_is_escaped() -> None:
    """Quotes, backslashes and line ends cannot make a line of their own."""
    hostile = 'a"} 1\nevil_total 9\n\\'
    metrics = Metrics()
    metrics.count(DONE, fate=hostile)

    (line,) = [text for text in metrics.prometheus().split("\n") if text.startswith(DONE)]
    found = LINE.fullmatch(line)

    assert found is not None
    ((name, text),) = LABEL.findall(found["labels"])
    unescaped = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)
    assert (name, unescaped, found["value"]) == ("fate", hostile, "1")


def test_labels_are_bounded_and_what_is_beyond_is_counted() -> None:
    """Nothing is lost from the sum; an attacker's names cost no memory."""
    metrics = Metrics()

    for number in range(MOST_SERIES + 50):
        metrics.count(DONE, fate=f"fate-{number}")
    metrics.count(DONE, fate="fate-0")

    told = {s.labels["fate"]: s.value for s in metrics.snapshot() if s.metric.name == DONE}
    assert len(told) == MOST_SERIES + 1
    assert (told["fate-0"], told["other"]) == (2, 50)
    assert metrics.value("oneiric_metrics_overflow_total", metric=DONE) == 50
    long = Metrics()
    long.count(DONE, fate="x" * 5_000)
    assert [len(each.labels["fate"]) for each in long.snapshot() if each.labels] == [120]


def test_threads_lose_no_count() -> None:
    """Eight threads count the same series and the same histogram."""
    metrics = Metrics()

    def work() -> None:
        for _ in range(2_000):
            metrics.count(DONE, fate="done")
            metrics.observe(SWAP, 0.5, domain="task")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert metrics.value(DONE, fate="done") == 16_000
    found = metrics.value(SWAP, domain="task")
    assert isinstance(found, Distribution)
    assert (found.samples, found.sum) == (16_000, 8_000)


def test_gauges_are_looked_up_when_somebody_asks() -> None:
    """What is looked up costs nothing until then."""
    metrics, asked = Metrics(), []

    def look() -> None:
        asked.append(1)
        metrics.set("oneiric_runs_under_way", len(asked))

    metrics.before(look)
    assert asked == []

    assert lines(metrics)["oneiric_runs_under_way"] == "1"
    assert lines(metrics)["oneiric_runs_under_way"] == "2"
