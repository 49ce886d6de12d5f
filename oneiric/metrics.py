"""What is counted and measured: one closed table of metrics, and the registry that keeps them."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from oneiric.errors import InvalidError, nearest

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
MOST_SERIES = 200
LONGEST_VALUE = 120
OTHER = "other"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What `Metrics.prometheus` returns."""
SECONDS = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0)
"""Upper bounds of the buckets of durations."""


class Metric(NamedTuple):
    """One metric: what it is called, what it is of, and by what it is told apart.

    Durations are in seconds, as everywhere in Prometheus; counters end in `_total`.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()


def _counter(name: str, help: str, *labels: str) -> Metric:  # noqa: A002  the format's own word
    return Metric(f"oneiric_{name}_total", "counter", help, labels)


def _seconds(name: str, help: str, *labels: str) -> Metric:  # noqa: A002
    return Metric(f"oneiric_{name}_duration_seconds", "histogram", help, labels, "seconds", SECONDS)


def _gauge(name: str, help: str, *labels: str, unit: str = "") -> Metric:  # noqa: A002
    return Metric(name, "gauge", help, labels, unit)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        each.name: each
        for each in (
            _gauge("oneiric_build_info", "1, by version and Python.", "version", "python"),
            _gauge(
                "process_start_time_seconds",
                "When the process began, since 1970.",
                unit="seconds",
            ),
            _counter(
                "lifecycle_activations", "Instances brought up: ok or failed.", "domain", "result"
            ),
            _seconds("lifecycle_activation", "Time to bring an instance up.", "domain"),
            _counter(
                "lifecycle_swaps", "Swaps by result: ok, failed, rolled-back.", "domain", "result"
            ),
            _seconds("lifecycle_swap", "Time from the request until the new one serves.", "domain"),
            _counter("lifecycle_quarantines", "Offers that were left out for a while.", "domain"),
            _counter("lifecycle_forced_drains", "Instances ended while held.", "domain"),
            _counter("lifecycle_cleanup_failures", "Errors while ending instances.", "domain"),
            _gauge("oneiric_lifecycle_components", "Instances that are up.", "domain"),
            _gauge("oneiric_lifecycle_in_flight", "Holds on instances.", "domain"),
            _counter("activity_pause_events", "Components that were paused.", "domain"),
            _counter("activity_drain_events", "Components that were drained.", "domain"),
            _counter("activity_resume_events", "Components that take work again.", "domain"),
            _counter("event_dispatches", "Events by result: handled, missed, unheard.", "result"),
            _counter("event_handler_attempts", "Calls of handlers.", "handler"),
            _counter(
                "event_handler_failures",
                "Events that a handler missed: failed, timed-out, deferred.",
                "handler",
                "outcome",
            ),
            _seconds("event_handler", "Time from an event to a handler's outcome.", "handler"),
            _counter("event_dead_letters", "Dead letters that were kept.", "handler"),
            _counter("runs_started", "Runs that were begun or taken up.", "run"),
            _counter("runs", "Runs that ended, by state.", "run", "state"),
            _seconds("run", "Time from a run's begin here to its end.", "run"),
            _gauge("oneiric_runs_under_way", "Runs that this process carries on."),
            _counter("workflow_node_attempts", "Attempts at steps of runs.", "run"),
            _counter("workflow_node_failures", "Attempts at steps that failed.", "run"),
            _seconds("workflow_node", "Time that one attempt at a step took.", "run"),
            _counter("queue_messages", "Messages by fate: done, back, aside.", "fate"),
            _counter("remote_sync_success", "Looks at a source that went well.", "source"),
            _counter("remote_sync_failure", "Looks at a source that did not.", "source"),
            _seconds("remote_sync", "Time that a look at a source took.", "source"),
            _counter(
                "remote_candidates_registered", "Offers that a source added or changed.", "source"
            ),
            _counter("remote_digest_checks", "Digests that were checked.", "source"),
            _counter("supervisor_restarts", "Services started again.", "domain", "key"),
            _counter("http_requests", "HTTP requests served.", "method", "route", "status"),
            _counter("http_refusals", "Callers over HTTP that were not let in.", "code"),
            _seconds("http_request", "Time to serve an HTTP request.", "method", "route"),
            _counter("log_records_dropped", "Log events that a sink did not take.", "sink"),
            _counter("telemetry_writes", "Writes of the telemetry file.", "result"),
            _counter(
                "monitoring_exports",
                "Exports: traces, metrics, or monitor where none is up.",
                "signal",
                "result",
            ),
            _counter("monitoring_spans_dropped", "Spans that nobody fetched in time."),
            _counter("metrics_overflow", "Samples whose labels were too many.", "metric"),
        )
    }
)
"""Every metric there is, by name; no other can be counted."""


class Distribution(NamedTuple):
    """Samples of a histogram: how many fell into each bucket, the last unbounded, and their sum."""

    counts: tuple[int, ...]
    sum: float

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(self.counts)


class Series(NamedTuple):
    """One metric for one set of labels, and its value at a moment."""

    metric: Metric
    labels: Mapping[str, str]
    value: float | Distribution


class Counter:
    """One series of a counter, to add to again and again."""

    __slots__ = ("_lock", "number")

    def __init__(self, lock: threading.Lock) -> None:
        self.number: float = 0
        self._lock = lock

    def add(self, amount: float = 1) -> None:
        """Add to it."""
        with self._lock:
            self.number += amount


class Histogram:
    """One series of a histogram, to add samples to again and again."""

    __slots__ = ("_bounds", "_lock", "counts", "sum")

    def __init__(self, lock: threading.Lock, bounds: tuple[float, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self._bounds = bounds
        self._lock = lock

    def add(self, value: float, *, with_count: tuple[Counter, float] | None = None) -> None:
        """Add one sample, and in the same step to a counter of the same metrics."""
        place = bisect_left(self._bounds, value)
        with self._lock:
            self.counts[place] += 1
            self.sum += value
            if with_count is not None:
                with_count[0].number += with_count[1]


class _Family:
    """What is kept of one metric: series by the values of its labels."""

    __slots__ = ("metric", "series")

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.series: dict[tuple[str, ...], Counter | Histogram] = {}


class Metrics:
    """Count and measure, from any thread, within bounds.

    A metric has at most 200 sets of labels; what is beyond goes to one whose labels are all
    `other`, and is counted in `oneiric_metrics_overflow_total`. A name that is not in `METRICS`,
    or labels that are not the metric's own, are an error of whoever calls.

    >>> metrics = Metrics()
    >>> metrics.count("oneiric_queue_messages_total", fate="done")
    >>> metrics.value("oneiric_queue_messages_total", fate="done")
    1
    """

    def __init__(self, *, most_series: int = MOST_SERIES) -> None:
        self._most = most_series
        self._lock = threading.Lock()
        self._families = {name: _Family(metric) for name, metric in METRICS.items()}
        self._known: dict[tuple[object, ...], Counter | Histogram] = {}
        self._looks: tuple[Callable[[], object], ...] = ()

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        self.counter(name, **labels).add(amount)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        found = self._series(name, "gauge", labels)
        assert isinstance(found, Counter)
        found.number = value

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add one sample to a histogram."""
        self.histogram(name, **labels).add(value)

    def counter(self, name: str, **labels: str) -> Counter:
        """Return one series of a counter, for whoever adds to it often."""
        found = self._series(name, "counter", labels)
        assert isinstance(found, Counter)
        return found

    def histogram(self, name: str, **labels: str) -> Histogram:
        """Return one series of a histogram, for whoever adds to it often."""
        found = self._series(name, "histogram", labels)
        assert isinstance(found, Histogram)
        return found

    def value(self, name: str, **labels: str) -> float | Distribution:
        """Return what one series holds; zero where nothing was counted."""
        for each in self.snapshot():
            if each.metric.name == name and each.labels == labels:
                return each.value
        return 0

    def before(self, look: Callable[[], object]) -> None:
        """Have *look* called before anything is told, to set gauges of what is looked up."""
        self._looks = (*self._looks, look)

    def snapshot(self) -> tuple[Series, ...]:
        """Return all series as they are now, in the order of the table."""
        for look in self._looks:
            look()
        with self._lock:
            return tuple(found for family in self._families.values() for found in _told(family))

    def prometheus(self) -> str:
        """Return everything as Prometheus reads it: the text format, version 0.0.4."""
        lines: list[str] = []
        last: Metric | None = None
        for series in self.snapshot():
            if series.metric is not last:
                last = series.metric
                lines.append(f"# HELP {last.name} {_escaped(last.help, quotes=False)}")
                lines.append(f"# TYPE {last.name} {last.kind}")
            lines += _lines(series)
        return "".join(f"{line}\n" for line in lines)

    def _series(self, name: str, kind: Kind, labels: Mapping[str, str]) -> Counter | Histogram:
        asked = (name, kind, *labels.items())
        found = self._known.get(asked)
        if found is None:
            found, is_own = self._found(name, kind, labels)
            if is_own:  # so there are no more of these than of series
                self._known[asked] = found
        return found

    def _found(
        self, name: str, kind: Kind, labels: Mapping[str, str]
    ) -> tuple[Counter | Histogram, bool]:
        family = self._family(name, kind)
        with self._lock:
            key = self._key(family, labels, family.series)
            found = family.series.get(key)
            if found is None:
                bounds = family.metric.buckets
                found = Histogram(self._lock, bounds) if bounds else Counter(self._lock)
                family.series[key] = found
        return found, set(key) == set(labels.values()) and len(labels) == len(key)

    def _family(self, name: str, kind: Kind) -> _Family:
        family = self._families.get(name)
        if family is None or family.metric.kind != kind:
            close = nearest(name, self._families)
            hint = f"did you mean {close}?" if close else ""
            raise InvalidError(f"there is no {kind} {name}", hint=hint)
        return family

    def _key(
        self, family: _Family, labels: Mapping[str, str], present: Mapping[tuple[str, ...], object]
    ) -> tuple[str, ...]:
        names = family.metric.labels
        try:
            key = tuple([labels[name] for name in names])
        except KeyError:
            key = ()
        if len(labels) != len(key) or len(key) != len(names):
            told = ", ".join(names) or "none"
            raise InvalidError(f"the labels of {family.metric.name} are {told}, not {list(labels)}")
        if key in present:
            return key
        key = tuple(str(value)[:LONGEST_VALUE] for value in key)
        if key in present or len(present) < self._most or not names:
            return key
        overflow = self._families["oneiric_metrics_overflow_total"].series
        counter = overflow.setdefault((family.metric.name,), Counter(self._lock))
        assert isinstance(counter, Counter)
        counter.number += 1  # the lock is held
        return (OTHER,) * len(names)


def _told(family: _Family) -> Iterator[Series]:
    metric = family.metric
    if not metric.labels and metric.kind == "counter" and not family.series:
        yield Series(metric, {}, 0)
    for key, found in family.series.items():
        labels = dict(zip(metric.labels, key, strict=True))
        if isinstance(found, Counter):
            yield Series(metric, labels, found.number)
        else:
            yield Series(metric, labels, Distribution(tuple(found.counts), found.sum))


def _lines(series: Series) -> Iterator[str]:
    name, labels, value = series.metric.name, tuple(series.labels.items()), series.value
    if not isinstance(value, Distribution):
        yield f"{name}{_labels(labels)} {_number(value)}"
        return
    below = 0
    for bound, count in zip((*series.metric.buckets, float("inf")), value.counts, strict=True):
        below += count
        yield f"{name}_bucket{_labels((*labels, ('le', _number(bound))))} {below}"
    yield f"{name}_sum{_labels(labels)} {_number(value.sum)}"
    yield f"{name}_count{_labels(labels)} {below}"


def _labels(labels: Sequence[tuple[str, str]]) -> str:
    told = ",".join(f'{name}="{_escaped(value, quotes=True)}"' for name, value in labels)
    return f"{{{told}}}" if told else ""


def _escaped(text: str, *, quotes: bool) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(value) if isinstance(value, int) else f"{value:.12g}"
