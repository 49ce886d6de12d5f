"""What a runtime does is counted and traced, and nothing of it changes what happens."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from oneiric.domains.events import Event, HandlerOutcome, HandlerResult
from oneiric.errors import OneiricError
from oneiric.metrics import Distribution
from oneiric.ports.monitoring import MONITORING
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.scheduler import SchedulerHTTPServer
from oneiric.runtime.work import Work
from oneiric.text.tracing import Doing, Trace, at_work
from tests.runtime.callbacks import http
from tests.runtime.workshop import opened
from tests.web.served import say


async def test_what_is_held_and_what_fails_is_counted(tmp_path: Path) -> None:
    """Activations by result, holds while they last."""
    async with opened(tmp_path) as runtime:
        value = runtime.metrics.value
        async with runtime.lifecycle.use("adapter:pen"), runtime.lifecycle.use("adapter:pen"):
            held = value("oneiric_lifecycle_in_flight", domain="adapter")
        with pytest.raises(OneiricError):
            await runtime.lifecycle.activate("adapter:pen@dry")
        left = value("oneiric_lifecycle_in_flight", domain="adapter")
        good, bad = (
            value("oneiric_lifecycle_activations_total", domain="adapter", result=result)
            for result in ("ok", "failed")
        )

    assert (held, left, good, bad) == (2, 0, 1, 1)


async def test_pauses_drains_and_resumes_are_counted(tmp_path: Path) -> None:
    """By domain; what another process said counts here too."""
    async with opened(tmp_path) as runtime:
        await runtime.pause("adapter:pen")
        await runtime.resume("adapter:pen")
        await runtime.drain("adapter:pen", limit=0.1)
        counts = [
            runtime.metrics.value(f"oneiric_activity_{what}_events_total", domain="adapter")
            for what in ("pause", "resume", "drain")
        ]

    assert counts == [1, 1, 1]


async def test_defect_an_alert_sees_what_fails_the_first_time(tmp_path: Path) -> None:
    """What an alert waits for is told from the start, as 0: it sees only what grows."""
    async with opened(tmp_path) as runtime:
        await runtime.events.emit("order.created")
        zeros = {
            (each.metric.name, *each.labels.values())
            for each in runtime.metrics.snapshot()
            if each.value == 0
        }

    assert zeros >= {
        ("oneiric_lifecycle_swaps_total", "service", "failed"),
        ("oneiric_lifecycle_swaps_total", "adapter", "rolled-back"),
        ("oneiric_lifecycle_quarantines_total", "adapter"),
        ("oneiric_lifecycle_forced_drains_total", "task"),
        ("oneiric_queue_messages_total", "aside"),
        ("oneiric_event_handler_failures_total", "good", "failed"),
        ("oneiric_event_handler_failures_total", "good", "timed-out"),
    }


# -- work -------------------------------------------------------------------------------


async def test_events_are_counted_by_what_came_of_them(tmp_path: Path) -> None:
    """And each handler's calls, failures and dead letters."""
    async with opened(tmp_path) as runtime:
        for topic in ("order.created", "order.broken", "other"):
            await runtime.events.emit(topic)
        value = runtime.metrics.value
        fates = [
            value("oneiric_event_dispatches_total", result=result)
            for result in ("handled", "missed", "unheard")
        ]
        tried = [
            value("oneiric_event_handler_attempts_total", handler=name) for name in ("good", "bad")
        ]
        failed = value("oneiric_event_handler_failures_total", handler="bad", outcome="failed")
        letters = value("oneiric_event_dead_letters_total", handler="bad")

    assert (fates, tried, failed, letters) == ([1, 1, 1], [2, 1], 1, 1)


@pytest.mark.parametrize("checkpoints", [True, False])
async def test_runs_and_their_steps_are_counted(checkpoints: bool, tmp_path: Path) -> None:
    """By the name of the plan, without a line in the kernel."""
    async with Work(opened(tmp_path), checkpoints=checkpoints) as work:
        for key in ("fine", "broken"):
            await (await work.workflows.start(key, {})).settled()
        metrics = work.runtime.metrics
        ended = {
            (key, state): metrics.value("oneiric_runs_total", run=f"workflow:{key}", state=state)
            for key, state in (("fine", "succeeded"), ("broken", "failed"))
        }
        tried, failed = (
            metrics.value(f"oneiric_workflow_node_{what}_total", run="workflow:broken")
            for what in ("attempts", "failures")
        )
        timed = metrics.value("oneiric_workflow_node_duration_seconds", run="workflow:fine")
        open_runs = metrics.value("oneiric_runs_under_way")

    assert ended == {("fine", "succeeded"): 1, ("broken", "failed"): 1}
    assert (tried, failed, open_runs) == (2, 1, 0)
    assert isinstance(timed, Distribution)
    assert timed.samples == 2


async def test_a_run_that_was_left_counts_under_its_name_when_it_is_taken_up(
    tmp_path: Path,
) -> None:
    """The name is read with its events, by whoever takes it up."""
    async with Work(opened(tmp_path)) as work:
        run_id = await work.engine.enqueue(work.workflows.workflow("fine").plan)
    async with Work(opened(tmp_path)) as work:
        (handle,) = await work.engine.recover()
        assert (await handle).run_id == run_id
        ended = work.runtime.metrics.value(
            "oneiric_runs_total", run="workflow:fine", state="succeeded"
        )

    assert ended == 1


# -- traces -----------------------------------------------------------------------------


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Work]:
    """Work whose spans are exported to the monitor in memory."""
    async with Work(opened(tmp_path)) as work:
        assert work.runtime.exporter.spans is work.runtime.measures.spans
        yield work


async def exported(work: Work) -> dict[str, list[Any]]:
    """Return the spans that the monitor got, by name."""
    assert await work.runtime.exporter.flush()
    async with work.runtime.lifecycle.use(MONITORING) as monitor:
        found: dict[str, list[Any]] = {}
        for span in monitor.spans:  # type: ignore[attr-defined]
            found.setdefault(span.name, []).append(span)
        return found


async def test_a_run_is_a_trace_and_its_steps_stand_below(traced: Work) -> None:
    """A step knows its own place; a caller's trace is gone on with."""
    began = Trace.new()
    with at_work(Doing(parent=began)):
        run = await (await traced.workflows.start("traced", {})).settled()
    alone = await (await traced.workflows.start("traced", {})).settled()
    spans = await exported(traced)

    by_run = {each.attributes["run"]: each for each in spans["run"]}
    steps = {each.attributes["run"]: each for each in spans["step"]}
    first, second = by_run[run.run_id], by_run[alone.run_id]
    assert (first.trace.trace_id, first.parent_id) == began
    assert (second.trace.trace_id, second.parent_id) == (alone.run_id.replace("-", ""), "")
    for each in (run, alone):
        step = steps[each.run_id]
        assert step.parent_id == by_run[each.run_id].trace.span_id
        assert each.results["a"] == {"trace": step.trace.trace_id, "span": step.trace.span_id}
        assert step.start_ns <= step.end_ns


async def test_an_event_is_a_trace_with_a_span_for_each_handler(traced: Work) -> None:
    """One that brings a traceparent goes on with that."""
    began, events = Trace.new(), traced.runtime.events
    await events.emit("order.broken", headers={"traceparent": str(began)})
    await events.emit("order.created")
    spans = await exported(traced)

    first, second = spans["event"]
    assert (first.trace.trace_id, first.parent_id, first.error) == (*began, "missed")
    assert (second.parent_id, second.error) == ("", "")
    assert [(each.attributes["handler"], each.error) for each in spans["handler"]] == [
        ("good", ""),
        ("bad", "failed"),
        ("good", ""),
    ]
    assert [each.parent_id for each in spans["handler"]] == [
        first.trace.span_id,
        first.trace.span_id,
        second.trace.span_id,
    ]


async def test_swaps_are_spans_and_metrics_are_exported_with_them(traced: Work) -> None:
    """The monitor has the counters as they were at the export."""
    await traced.runtime.swap("adapter:pen", provider="biro")
    await traced.runtime.swap("adapter:pen", provider="dry")
    spans = await exported(traced)

    assert [(each.attributes["after"], each.error != "") for each in spans["swap"]] == [
        ("biro", False),
        ("dry", True),
    ]
    async with traced.runtime.lifecycle.use(MONITORING) as monitor:
        names = {each.metric.name for each in monitor.series}  # type: ignore[attr-defined]
    assert {"oneiric_lifecycle_swaps_total", "oneiric_build_info"} <= names


async def test_a_request_is_counted_and_what_it_began_stands_below_it(traced: Work) -> None:
    """By its route and a known method; a caller's trace is gone on with, into the run."""
    began, asked = Trace.new(), {"workflow": "traced"}
    async with SchedulerHTTPServer(traced, port=0) as server:
        port = server.where.port
        told = (await say(port, http(asked, f"traceparent: {began}")))[2]
        await say(port, http(asked, path="/nowhere/hunter2"))
        await say(port, http(asked, method="PROPFIND"))
        await say(port, http({}, f"traceparent: 00-{'0' * 32}-{'0' * 16}-01"))
    spans = await exported(traced)

    first, *others = spans["http"]
    (run,) = spans["run"]
    assert first.attributes == {"method": "POST", "route": "/tasks/workflow", "status": 200}
    assert (first.trace.trace_id, first.parent_id) == began
    assert (run.attributes["run"], run.parent_id) == (told["run_id"], first.trace.span_id)
    assert [(each.parent_id, each.attributes["route"]) for each in others] == [
        ("", "none"),
        ("", "none"),
        ("", "/tasks/workflow"),
    ]
    name, value = "oneiric_http_requests_total", traced.runtime.metrics.value
    assert value(name, method="POST", route="/tasks/workflow", status="200") == 1
    assert value(name, method="POST", route="/tasks/workflow", status="400") == 1
    assert value(name, method="POST", route="none", status="404") == 1
    assert value(name, method="other", route="none", status="405") == 1
    assert "hunter2" not in traced.runtime.metrics.prometheus()


async def test_events_and_handlers_are_counted_apart_whatever_their_names(tmp_path: Path) -> None:
    """However many there are between two looks, from whichever thread."""
    results = [
        HandlerResult("missed", HandlerOutcome.HANDLED, attempts=2, duration_ms=1.0),
        HandlerResult("handled", HandlerOutcome.DEFERRED, attempts=0),
    ]
    event = Event(id="1", type="order.created")
    async with RuntimeOrchestrator.open(folder=tmp_path) as runtime:
        for _ in range(700):
            runtime.measures.dispatched(event, 2, results)
        looks = [asyncio.to_thread(runtime.metrics.snapshot) for _ in range(4)]
        await asyncio.gather(*looks)
        metrics = runtime.metrics
        attempts = {
            name: metrics.value("oneiric_event_handler_attempts_total", handler=name)
            for name in ("missed", "handled")
        }
        events = {
            result: metrics.value("oneiric_event_dispatches_total", result=result)
            for result in ("missed", "handled")
        }

    assert attempts == {"missed": 1400, "handled": 0}
    assert events == {"missed": 700, "handled": 0}
