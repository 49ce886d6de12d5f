"""What components go through is logged: events with keys, and no secret."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oneiric.adapters.executors import child, sentry
from oneiric.adapters.identity import keys
from oneiric.core.candidate import Candidate
from oneiric.core.logging import ROOT, configure_logging
from oneiric.core.plugin import Plugin
from oneiric.errors import ComponentError
from oneiric.remote import log as remote_log
from oneiric.runtime import (
    RuntimeOrchestrator,
    callers,
    export,
    lifecycle_log,
    log_sinks,
    run_notices,
    scheduler,
    serving_log,
    telemetry,
)
from oneiric.runtime.discovery import Discovered
from oneiric.runtime.lifecycle_log import log_plugins
from oneiric.web import log as web_log

LOGGING = (lifecycle_log, remote_log, run_notices, serving_log, web_log)
TOLD_AS_EXTRA = (export, log_sinks, telemetry)
TOLD_AT_ONCE = (callers, child, keys, scheduler, sentry)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "log-events.md"
PEN = "adapter:pen"


class Pen:
    """A component that is well."""


class Dry:
    """A component that does not come up, and tells a secret as it fails."""

    async def init(self) -> None:
        raise OSError("no ink at redis://me:hunter2@host/0")


class Sticky:
    """A component that cannot be cleaned up."""

    async def cleanup(self) -> None:
        raise OSError("stuck")


class Fading(Pen):
    """A component that is healthy once."""

    def __init__(self) -> None:
        self.checks = 0

    def health(self) -> bool:
        """Return True at the first check."""
        self.checks += 1
        return self.checks == 1


PENS = Plugin(
    [
        Candidate(PEN, "quill", Pen, priority=3),
        Candidate(PEN, "biro", Pen, priority=2),
        Candidate(PEN, "sticky", Sticky, priority=1),
        Candidate(PEN, "fading", Fading),
        Candidate(PEN, "dry", Dry, priority=-1),
    ]
)


class Logged:
    """The events that were logged since `take` was called last."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        configure_logging(self._stream, level="debug", emit_json=True)

    @property
    def text(self) -> str:
        """All lines so far."""
        return self._stream.getvalue()

    def take(self) -> list[dict[str, Any]]:
        """Return the events, without time and logger, and forget them."""
        events = [json.loads(line) for line in self.text.splitlines()]
        self._stream.truncate(0)
        self._stream.seek(0)
        for event in events:
            assert event.pop("timestamp").endswith("Z")
            del event["logger"]
        return events


@pytest.fixture
def logged() -> Iterator[Logged]:
    """Return what `oneiric` logs, and put logging back afterwards."""
    root = logging.getLogger(ROOT)
    before = root.handlers[:], root.level, root.propagate
    yield Logged()
    root.handlers[:], root.propagate = before[0], before[2]
    root.setLevel(before[1])


def opened(folder: Path, **lifecycle: float) -> RuntimeOrchestrator:
    """Return a runtime with five pens and these settings of the lifecycle."""
    lines = [f"{name} = {value}" for name, value in lifecycle.items()]
    (folder / "oneiric.toml").write_text("\n".join(["[lifecycle]", *lines]))
    return RuntimeOrchestrator.open(folder=folder, plugins=(PENS,))


def event(name: str, level: str, provider: str, **keys: object) -> dict[str, object]:
    """Return an event about a pen."""
    return {
        "event": name,
        "level": level,
        "domain": "adapter",
        "key": "pen",
        "provider": provider,
        **keys,
    }


def untimed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events without how long they took, which must be a number."""
    for each in events:
        assert each.pop("duration_ms", 0.0) >= 0
    return events


async def test_a_component_that_comes_up_is_swapped_and_closed_is_logged(
    tmp_path: Path, logged: Logged
) -> None:
    """Three events, each about the instance that its number names."""
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(PEN)
        (up,) = logged.take()
        assert up.pop("duration_ms") >= 0
        assert up == event("component-activated", "info", "quill", generation=1)

        await runtime.lifecycle.swap(PEN, provider="biro")
        assert untimed(logged.take()) == [
            event("component-activated", "info", "biro", generation=2),
            event("component-closed", "info", "quill", generation=1),
            event("component-swapped", "info", "biro", before="quill", generation=2),
        ]
    assert logged.take() == [event("component-closed", "info", "biro", generation=2)]


async def test_a_swap_that_does_not_hold_is_logged_with_phase_and_reason(
    tmp_path: Path, logged: Logged
) -> None:
    """Failed before it was bound, or rolled back afterwards: two different events."""
    async with opened(tmp_path, probation_seconds=0.01) as runtime:
        await runtime.lifecycle.activate(PEN)
        logged.take()

        await runtime.lifecycle.swap(PEN, provider="dry")
        why = {"phase": "init", "reason": "OSError: no ink at redis://**********@host/0"}
        assert "hunter2" not in logged.text
        assert untimed(logged.take()) == [
            event("activation-failed", "warning", "dry", **why),
            event("swap-failed", "warning", "dry", before="quill", generation=0, **why),
        ]

        await runtime.lifecycle.swap(PEN, provider="fading")
        sick = {"phase": "probation", "reason": "health returned False"}
        assert untimed(logged.take()) == [
            event("component-activated", "info", "fading", generation=3),
            event("component-closed", "info", "fading", generation=3),
            event("swap-rolled-back", "warning", "fading", before="quill", generation=3, **sick),
        ]


async def test_a_swap_to_nobody_is_logged_without_a_provider(
    tmp_path: Path, logged: Logged
) -> None:
    """What resolution refuses has no phase of a component."""
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.swap(PEN, provider="crayon")

        (failed,) = untimed(logged.take())
    assert failed == event(
        "swap-failed",
        "warning",
        "",
        before="",
        generation=0,
        phase="resolve",
        reason="swap selects crayon for adapter:pen, but nobody offers it",
    )


async def test_quarantine_is_logged_with_its_length(tmp_path: Path, logged: Logged) -> None:
    """The failure that was one too many says for how long the offer is out."""
    async with opened(tmp_path, quarantine_after=2, quarantine_seconds=60) as runtime:
        for _ in range(2):
            with pytest.raises(ComponentError):
                await runtime.lifecycle.activate(f"{PEN}@dry")

        found = logged.take()
    assert [each["event"] for each in found] == [
        "activation-failed",
        "activation-failed",
        "component-quarantined",
    ]
    reason = "OSError: no ink at redis://**********@host/0"
    assert found[2] == event("component-quarantined", "warning", "dry", seconds=60, reason=reason)


async def test_a_forced_drain_is_logged_with_its_holders(tmp_path: Path, logged: Logged) -> None:
    """In a swap and at the end, each names the instance and who held it."""
    runtime = opened(tmp_path, drain_timeout=0.01)
    async with runtime.lifecycle.use(PEN):
        await runtime.lifecycle.swap(PEN, provider="biro")
        async with runtime.lifecycle.use(PEN):
            with pytest.raises(ExceptionGroup):
                await runtime.stop()

    forced = [each for each in logged.take() if each["event"] == "drain-forced"]
    assert [(each["provider"], each["generation"], each["phase"]) for each in forced] == [
        ("quill", 1, "drain"),
        ("biro", 2, "drain"),
    ]
    assert all("test_a_forced_drain" in holder for each in forced for holder in each["holders"])


async def test_a_failing_cleanup_is_logged_before_the_end(tmp_path: Path, logged: Logged) -> None:
    """It is an error; the instance is gone all the same."""
    runtime = opened(tmp_path)
    await runtime.lifecycle.activate(f"{PEN}@sticky")
    logged.take()
    with pytest.raises(ExceptionGroup):
        await runtime.stop()

    assert logged.take() == [
        event(
            "cleanup-failed",
            "error",
            "sticky",
            generation=1,
            phase="cleanup",
            reason="OSError: stuck",
        ),
        event("component-closed", "info", "sticky", generation=1),
    ]


def test_a_broken_plugin_is_logged_with_its_distribution(logged: Logged) -> None:
    """One that brought something, or was left out on purpose, is no failure."""
    broken = Discovered("oneiric.tasks", "main", "acme:P", "acme", "1", error="ImportError: x")
    skipped = Discovered("oneiric.tasks", "main", "none:P", "none", "1", skipped="denied")

    log_plugins([broken, skipped])

    assert logged.take() == [
        {
            "event": "plugin-failed",
            "level": "warning",
            "distribution": "acme",
            "group": "oneiric.tasks",
            "reason": "ImportError: x",
        }
    ]


async def test_a_program_that_configures_nothing_reads_the_keys_as_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The standard library's own format shows no fields, so the message has them too."""
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.swap(PEN, provider="dry")

    text = "activation-failed domain='adapter' key='pen' provider='dry'"
    assert caplog.messages[0].startswith(text)


def test_every_event_is_on_its_page() -> None:
    """`docs/reference/log-events.md` lists the events of the code, no more and no fewer."""
    source = "".join(Path(str(room.__file__)).read_text() for room in LOGGING)
    written = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    for room in TOLD_AS_EXTRA:
        source = Path(str(room.__file__)).read_text()
        written |= set(re.findall(r'"event": "([a-z-]+)"', source))
    for room in TOLD_AT_ONCE:
        source = Path(str(room.__file__)).read_text()
        written |= set(re.findall(r'(?:_log\.[a-z]+|tell)\(\s*"([a-z-]+)"', source))

    listed = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE))

    written.discard("gave-up")  # what happened, not how it is logged
    assert listed == written
