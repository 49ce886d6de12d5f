"""Every monitor keeps what the port `Monitor` promises; then the one that speaks OTLP."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from oneiric.adapters.monitoring.otel_otlp import OtelOtlpMonitorSettings
from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.metrics import Metrics
from oneiric.ports import (
    AdapterError,
    DependencyMissingError,
    InvalidRequestError,
    Monitor,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)
from oneiric.ports.monitoring import MONITORING
from oneiric.runtime import RuntimeOrchestrator
from oneiric.text.tracing import Doing, Span, Trace, at_work
from tests.contract.cases import CASES, Find, ProviderCase, Surroundings, brought_up, for_each
from tests.contract.chat import TOKEN
from tests.contract.collector import Collector, partly, plain, points
from tests.servers import free_port

OTLP, HTTP = "adapter:monitoring@otel-otlp", "adapter:http@aiohttp"
SWAP = "oneiric_lifecycle_swap_duration_seconds"
only_otlp = pytest.mark.parametrize("case", [CASES[OTLP]], ids=["otel-otlp"], indirect=True)


@pytest.fixture
async def monitor(case: ProviderCase, component: Find) -> Monitor:
    found: Monitor = await component(case.offer)
    return found


def spans(count: int = 2) -> list[Span]:
    run = Trace.of("r-1")
    facts: dict[str, str | int | float | bool] = {"n": 1, "is": True, "x": 0.5, "name": "ü"}
    first = Span(name="run", trace=run, start_ns=1_000, end_ns=5_000, attributes=facts)
    steps = [
        Span(
            name="step",
            trace=Trace.of("r-1", str(number), parent=run),
            parent_id=run.span_id,
            start_ns=2_000,
            end_ns=3_000,
            error="failed",
        )
        for number in range(count - 1)
    ]
    return [first, *steps]


def metrics() -> Metrics:
    found = Metrics()
    found.set("process_start_time_seconds", 1_700_000_000.5)
    found.count("oneiric_queue_messages_total", 3, fate="done")
    found.count("oneiric_queue_messages_total", 1, fate="back")
    for seconds in (0.002, 0.2, 1_000):
        found.observe(SWAP, seconds, domain="adapter")
    return found


@for_each("monitoring")
async def test_spans_and_metrics_are_taken(monitor: Monitor) -> None:
    """Many, few and none; again and again."""
    for count in (1, 2, 600):
        await monitor.export_spans(spans(count))
    await monitor.export_spans([])
    await monitor.export_metrics([])
    await monitor.export_metrics(metrics().snapshot())

    assert bool(await monitor.health())  # type: ignore[attr-defined]


@only_otlp
async def test_the_collector_reads_the_spans_as_they_were(
    monitor: Monitor, collector: Collector
) -> None:
    """Ids, parentage, times, attributes with their types, and how they ended."""
    await monitor.export_spans(spans())

    run, step = collector.spans
    assert collector.problems == []
    assert (run.name, step.name) == ("run", "step")
    assert run.trace_id.hex() == step.trace_id.hex() == Trace.of("r-1").trace_id
    assert step.parent_span_id == run.span_id
    assert run.parent_span_id == b""
    assert (run.start_time_unix_nano, run.end_time_unix_nano) == (1_000, 5_000)
    assert plain(run.attributes) == {"n": 1, "is": True, "x": 0.5, "name": "ü"}
    assert (run.status.code, step.status.code, step.status.message) == (0, 2, "failed")
    (resource,) = collector.resources
    assert (resource["service.name"], resource["deployment"]) == ("tests", "a")


@only_otlp
async def test_the_collector_reads_the_metrics_as_they_are(
    monitor: Monitor, collector: Collector
) -> None:
    """Under their names in the table, cumulative since the process began."""
    await monitor.export_metrics(metrics().snapshot())

    (found,) = collector.metrics
    counted, timed = found["oneiric_queue_messages_total"], found[SWAP]
    assert collector.problems == []
    assert (counted.sum.is_monotonic, counted.sum.aggregation_temporality) == (True, 2)
    assert {key: point.as_double for key, point in points(counted).items()} == {
        ("done",): 3,
        ("back",): 1,
    }
    point = points(timed)["adapter",]
    assert point.start_time_unix_nano == 1_700_000_000_500_000_000
    assert (point.count, point.sum, sum(point.bucket_counts)) == (3, 1_000.202, 3)
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert (timed.unit, point.bucket_counts[-1]) == ("s", 1)
    assert found["process_start_time_seconds"].WhichOneof("data") == "gauge"


@only_otlp
@pytest.mark.parametrize(
    ("status", "error", "requests"),
    [
        (400, InvalidRequestError, 1),
        (401, PermissionDeniedError, 1),
        (302, AdapterError, 1),
        (429, RateLimitedError, 2),
        (503, UnavailableError, 2),
    ],
)
async def test_a_refusal_is_an_error_and_told_in_health_until_it_ends(
    status: int, error: type[AdapterError], requests: int, monitor: Any, collector: Collector
) -> None:
    """What may succeed later is tried again within the limits; no key is shown."""
    collector.answers = [web.Response(status=status, text=TOKEN) for _ in range(requests)]

    with pytest.raises(error) as caught:
        await monitor.export_spans(spans())
    refused = await monitor.health()
    assert collector.requests == requests
    await monitor.export_spans(spans())

    assert bool(refused) is (status in (429, 503))  # the collector answers: it may be well again
    assert bool(await monitor.health())
    assert TOKEN not in f"{caught.value.render()} {caught.value!r} {refused!r}"


@only_otlp
async def test_what_was_taken_in_part_is_told(monitor: Any, collector: Collector) -> None:
    """With how much was not; it is not sent again."""
    collector.answers = [partly(1)]

    with pytest.raises(AdapterError, match="refused 1 spans: too old"):
        await monitor.export_spans(spans())

    assert collector.requests == 1
    assert (await monitor.health()).detail != ""


@only_otlp
async def test_a_collector_that_goes_down_is_unavailable_and_unhealthy(
    monitor: Any, collector: Collector
) -> None:
    """And both end within the limits."""
    await monitor.export_spans(spans())
    await collector.stop()

    with pytest.raises(UnavailableError):
        await monitor.export_spans(spans())
    health = await monitor.health()

    assert (health.healthy, health.detail != "") == (False, True)


@only_otlp
async def test_without_the_library_it_says_what_to_install(
    here: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standing in explain says so too, while the library cannot be found."""
    monkeypatch.delitem(sys.modules, "oneiric.adapters.monitoring.otlp_messages", raising=False)
    monkeypatch.setitem(sys.modules, "google.protobuf.message", None)
    async with brought_up(here) as find:
        with pytest.raises(Exception, match="not installed") as caught:
            await find(OTLP)

    cause = caught.value.__cause__
    while cause is not None and not isinstance(cause, DependencyMissingError):
        cause = cause.__cause__
    assert isinstance(cause, DependencyMissingError) or "not installed" in str(caught.value)


@pytest.mark.parametrize(
    "endpoint",
    ["http://collector.example:4318", "ftp://c.example", f"https://me:{TOKEN}@c.example"],
)
def test_an_endpoint_that_others_could_read_is_refused(endpoint: str) -> None:
    """Or one with a password in it, which is not repeated."""
    with pytest.raises(ValidationError) as caught:
        OtelOtlpMonitorSettings(endpoint=endpoint)

    assert TOKEN not in str(caught.value)


# -- the runtime in front of it ---------------------------------------------------------


class Pen:
    """A component, and a handler."""

    def handle(self, event: object) -> str:
        return "written"


PENS = Plugin(
    [
        Candidate("adapter:pen", "quill", Pen, priority=1),
        Candidate("adapter:pen", "biro", Pen),
        Candidate("event:pen", "p", Pen),
    ]
)


@pytest.fixture
def folder(tmp_path: Path, collector: Collector) -> Path:
    """A folder whose configuration selects OTLP, and the collector."""
    configure(tmp_path, collector.port)
    return tmp_path


def configure(folder: Path, port: int) -> None:
    (folder / "oneiric.toml").write_text(
        "[adapters.selections]\nmonitoring = 'otel-otlp'\n"
        "[adapters.provider_settings.otel-otlp]\n"
        f"endpoint = 'http://127.0.0.1:{port}'\nheaders = {{ x-api-key = '{TOKEN}' }}\n"
        "attempts = 1\ntimeout = 2.0\n"
        "[telemetry]\nexport_seconds = 0.05\n"
    )


async def test_what_a_runtime_does_arrives_at_the_collector(
    folder: Path, collector: Collector
) -> None:
    """Again and again while it runs: a caller's trace, the event, its handler, a swap, counters."""
    began = Trace.new()
    async with RuntimeOrchestrator.open(folder=folder, plugins=(PENS,)) as runtime:
        exporter = runtime.exporter
        async with asyncio.TaskGroup() as group:
            running = group.create_task(exporter.run())
            with at_work(Doing(parent=began)):
                await runtime.events.emit("order.created")
                await runtime.swap("adapter:pen", provider="biro")
            while not collector.metrics or len(collector.spans) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            running.cancel()
        await exporter.flush()

    found = {span.name: span for span in collector.spans}
    assert collector.problems == []
    assert {span.trace_id.hex() for span in collector.spans} == {began.trace_id}
    assert found["event"].parent_span_id.hex() == began.span_id
    assert found["swap"].parent_span_id.hex() == began.span_id
    assert found["handler"].parent_span_id == found["event"].span_id
    assert plain(found["handler"].attributes)["handler"] == "pen"
    last = collector.metrics[-1]
    assert points(last["oneiric_lifecycle_swaps_total"])["adapter", "ok"].as_double == 1
    assert points(last["oneiric_event_dispatches_total"])["handled",].as_double == 1


async def test_a_collector_that_goes_down_costs_spans_and_nothing_else(
    folder: Path, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """Work goes on, memory is bounded, the trouble is counted, logged once, and told in health."""
    async with RuntimeOrchestrator.open(folder=folder, plugins=(PENS,)) as runtime:
        exporter, value = runtime.exporter, runtime.metrics.value
        assert await exporter.flush()
        await collector.stop()
        for _ in range(3_000):
            await runtime.events.emit("order.created")
        kept = len(exporter.spans)
        taken = [await exporter.flush() for _ in range(3)]
        async with runtime.lifecycle.use(OTLP) as monitor:
            health = await monitor.health()
        failed = value("oneiric_monitoring_exports_total", signal="metrics", result="failed")
        dropped = value("oneiric_monitoring_spans_dropped_total")

    assert taken == [False, False, False]
    assert (kept, failed, health.healthy) == (2_048, 3, False)
    assert dropped == 6_000 - 2_048
    assert caplog.text.count("monitoring-failed") == 1


async def test_defect_what_stands_in_for_a_collector_hides_no_loss(tmp_path: Path) -> None:
    """A collector that is down from the start is quarantined, and exports go on failing."""
    configure(tmp_path, free_port())
    async with RuntimeOrchestrator.open(folder=tmp_path, plugins=(PENS,)) as runtime:
        exporter, lifecycle = runtime.exporter, runtime.lifecycle
        await runtime.events.emit("order.created")
        kept = len(exporter.spans)
        taken = [await exporter.flush() for _ in range(6)]
        failed = runtime.metrics.value(
            "oneiric_monitoring_exports_total", signal="monitor", result="failed"
        )
        decision = runtime.resolver.explain(MONITORING)
        async with lifecycle.use(MONITORING) as monitor:
            seen = [*monitor.spans]  # type: ignore[attr-defined]

    assert taken == [False] * 6
    assert (failed, len(exporter.spans), seen) == (6, kept, [])
    assert decision.winner is not None
    assert decision.winner.provider == "in-process"


async def test_calls_to_others_carry_the_trace(here_of_http: Any, collector: Collector) -> None:
    """A `traceparent` of the present place goes out, unless the caller set one; else none."""
    url, began = f"http://127.0.0.1:{collector.port}/", Trace.new()
    async with brought_up(here_of_http) as find:
        client = await find(HTTP)
        with at_work(Doing(parent=began)):
            await client.post(f"{url}v1/traces")
            await client.post(f"{url}v1/traces", headers={"Traceparent": "mine"})
        await client.post(f"{url}v1/traces")

    told = [each.get("traceparent") for each in collector.fields]
    assert told == [str(began), "mine", None]


@pytest.fixture
def here_of_http(tmp_path: Path, collector: Collector) -> Surroundings:
    return Surroundings(tmp_path, http_port=collector.port)
