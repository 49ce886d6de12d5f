"""What a runtime remembers of its latest work, how it is written, and what is counted of it."""

import asyncio
import json
import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.domains.events import Event
from oneiric.errors import OneiricError
from oneiric.metrics import Distribution, Metrics
from oneiric.runtime import Operator, RuntimeOrchestrator
from oneiric.runtime.measures import Measures
from oneiric.runtime.running import Running
from oneiric.runtime.telemetry import RuntimeTelemetryRecorder
from oneiric.runtime.telemetry_file import TelemetryFile
from oneiric.runtime.work import Work
from oneiric.runtime.workflows import WorkDesk
from oneiric.testing import ManualClock
from tests.runtime.workshop import PLUGIN, SECRET, Good, opened


def operator(folder: Path) -> Operator:
    return Operator(folder=folder, plugins=(PLUGIN,))


def written(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (folder / ".oneiric_cache/runtime_telemetry.json").read_text()
    )
    return found


def own_recorder(path: Path, **more: Any) -> RuntimeTelemetryRecorder:
    """Return a recorder with nothing behind it."""
    clock = more.pop("clock", None) or ManualClock()
    measures = Measures(Metrics(), clock, Running())
    return RuntimeTelemetryRecorder(path, clock=clock, measures=measures, **more)


class Pens(RuntimeTelemetryRecorder):
    """Count the writes, and hold them up while `gate` is shut."""

    def __init__(self, path: Path, **more: Any) -> None:
        clock = more.pop("clock")
        super().__init__(path, clock=clock, measures=Measures(Metrics(), clock, Running()), **more)
        self.writes = 0
        self.gate = threading.Event()
        self.gate.set()

    def _write(self, data: bytes, number: int) -> None:
        assert self.gate.wait(30)
        self.writes += 1
        super()._write(data, number)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def an_event(number: int = 1) -> Event:
    return Event(id=f"e-{number}", type="order.created")


# -- what commands leave behind ---------------------------------------------------------


def test_defect_oneiric_o6_emitting_an_event_writes_what_came_of_it(tmp_path: Path) -> None:
    """The last event with every handler; the payload and secrets are nowhere in the file."""
    emission = operator(tmp_path).events.emit("order.broken", {"card": "4111"})
    assert emission.exit_code == 1

    found = written(tmp_path)
    last = found["last_event"]

    assert found["schema"] == "oneiric.runtime-telemetry/1"
    assert found["pid"] == os.getpid()
    assert (last["topic"], last["matched_handlers"], last["failures"]) == ("order.broken", 2, 1)
    assert [(each["handler"], each["success"]) for each in last["handlers"]] == [
        ("good", True),
        ("bad", False),
    ]
    assert last["total_duration_ms"] >= last["handlers"][1]["duration_ms"] > 0
    text = json.dumps(found)
    assert "4111" not in text
    assert SECRET not in text


@pytest.mark.parametrize(("key", "state"), [("fine", "succeeded"), ("broken", "failed")])
@pytest.mark.parametrize("checkpoints", [True, False])
def test_defect_oneiric_o6_a_workflow_is_recorded_whether_it_fails_or_not(
    key: str, state: str, checkpoints: bool, tmp_path: Path
) -> None:
    """With its nodes, what each took and how often it was tried."""
    WorkDesk(opened(tmp_path)).run(key, {"card": "4111"}, checkpoints=checkpoints)

    last = written(tmp_path)["last_workflow"]

    assert (last["workflow"], last["state"], last["node_count"]) == (key, state, 2)
    assert last["entry_nodes"] == ["a"]
    assert [(each["node"], each["task"], each["depends_on"]) for each in last["nodes"]] == [
        ("a", "task:good", []),
        ("b", "task:good" if key == "fine" else "task:bad", ["a"]),
    ]
    assert [each["attempts"] for each in last["nodes"]] == [1, 1]
    assert all(each["duration_ms"] >= 0 for each in last["nodes"])
    assert (last["error"] is None, last["nodes"][1]["error"] is None) == (key == "fine",) * 2
    (one,) = written(tmp_path)["recent"]
    assert (one["kind"], one["name"], one["success"]) == ("workflow", key, key == "fine")
    text = json.dumps(written(tmp_path))
    assert "4111" not in text
    assert SECRET not in text


async def test_defect_oneiric_o6_an_action_is_recorded_and_what_others_wrote_is_kept(
    tmp_path: Path,
) -> None:
    """Each command is a process of its own; the file tells the last of each kind."""
    await asyncio.to_thread(lambda: operator(tmp_path).events.emit("order.created"))

    await operator(tmp_path).invoke_action("compression.hash", {"text": "abc"})
    with pytest.raises(OneiricError):
        await operator(tmp_path).invoke_action("compression.hash", {"nothing": "right"})

    found = written(tmp_path)
    assert found["last_event"]["topic"] == "order.created"
    assert found["last_action"]["action"] == "action:compression.hash"
    assert (found["last_action"]["success"], found["last_action"]["error"]) == (
        False,
        "invalid-payload",
    )


def test_promise_c2_looking_writes_nothing_and_tells_whether_it_is_stale(tmp_path: Path) -> None:
    """`status` tells of the last work of any process, and whether that process still runs."""
    before = operator(tmp_path).status().as_json()
    assert (before["telemetry"], list(tmp_path.iterdir())) == (None, [])
    operator(tmp_path).events.emit("order.created")
    path = tmp_path / ".oneiric_cache/runtime_telemetry.json"

    mine: Any = operator(tmp_path).status().as_json()
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"born": "1"}))
    stamp = path.stat().st_mtime_ns
    gone: Any = operator(tmp_path).status().as_json()

    assert (mine["telemetry"]["stale"], gone["telemetry"]["stale"]) == (False, True)
    assert gone["telemetry"]["last_event"]["topic"] == "order.created"
    assert path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": "other/1"}', b"\xff" * 99])
def test_a_broken_file_is_told_and_written_anew(content: bytes, tmp_path: Path) -> None:
    """It stops nobody, and nothing is taken over from it."""
    path = tmp_path / ".oneiric_cache" / "runtime_telemetry.json"
    path.parent.mkdir()
    path.write_bytes(content)

    found = TelemetryFile.read(path)
    assert (found.as_json(), found.problem != "") == (None, True)
    operator(tmp_path).events.emit("order.created")

    assert written(tmp_path)["last_event"]["topic"] == "order.created"


def test_a_command_does_its_work_where_telemetry_cannot_be_written(tmp_path: Path) -> None:
    """The place of the file is taken by a folder; the event is handled all the same."""
    (tmp_path / ".oneiric_cache" / "runtime_telemetry.json").mkdir(parents=True)

    assert operator(tmp_path).events.emit("order.created").exit_code == 0


def test_telemetry_can_be_turned_off(tmp_path: Path) -> None:
    """Then no command writes it."""
    (tmp_path / "oneiric.toml").write_text("[telemetry]\nenabled = false\n")

    operator(tmp_path).events.emit("order.created")

    assert [path.name for path in tmp_path.iterdir()] == ["oneiric.toml"]


# -- how it is written ------------------------------------------------------------------


async def test_defect_oneiric_o6_recording_is_a_matter_of_memory(tmp_path: Path) -> None:
    """A thousand events are one write; nothing is read or written when they happen."""
    clock = ManualClock()
    recorder = Pens(tmp_path / "t.json", clock=clock, every=1.0, history=20)

    for number in range(1_000):
        recorder.event(an_event(number), 0, [])
    assert (recorder.writes, files(tmp_path)) == (0, [])
    await recorder.flush()
    await recorder.flush()

    assert recorder.writes == 1
    found = json.loads((tmp_path / "t.json").read_text())
    assert (found["last_event"]["id"], len(found["recent"])) == ("e-999", 20)


async def test_the_writer_writes_at_most_once_per_interval(tmp_path: Path) -> None:
    """And only when something happened since."""
    clock = ManualClock()
    recorder = Pens(tmp_path / "t.json", clock=clock, every=10.0)
    async with asyncio.TaskGroup() as group:
        writer = group.create_task(recorder.follow())
        recorder.event(an_event(1), 0, [])
        await clock.until_waiting()
        for number in range(50):
            recorder.event(an_event(number), 0, [])
            await asyncio.sleep(0)
        assert recorder.writes == 1
        await clock.until_waiting()
        clock.advance(10)
        await until(lambda: recorder.writes == 2)
        await clock.until_waiting()
        clock.advance(100)
        await asyncio.sleep(0.05)
        assert recorder.writes == 2
        writer.cancel()


async def test_a_slow_disk_holds_up_nobody(tmp_path: Path) -> None:
    """While a write takes its time the loop goes on, and what comes then is written next."""
    recorder = Pens(tmp_path / "t.json", clock=ManualClock())
    recorder.gate.clear()
    recorder.event(an_event(1), 0, [])
    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.flush())
        await asyncio.sleep(0.01)
        recorder.event(an_event(2), 0, [])
        recorder.gate.set()
    await recorder.flush()

    assert json.loads((tmp_path / "t.json").read_text())["last_event"]["id"] == "e-2"


async def test_a_failed_write_is_made_good_by_the_next(tmp_path: Path) -> None:
    """It is counted, and what was new is still new."""
    folder = tmp_path / "t.json"
    folder.mkdir()
    recorder = own_recorder(folder)
    recorder.event(an_event(), 0, [])
    await recorder.flush()
    folder.rmdir()

    await recorder.flush()

    assert json.loads(folder.read_text())["last_event"]["id"] == "e-1"


def write_often(path: str, name: int, times: int) -> None:
    """Do so in a process of its own."""

    async def main() -> None:
        recorder = own_recorder(Path(path))
        for number in range(times):
            recorder.event(an_event(name * 1_000 + number), 0, [])
            await recorder.flush()

    asyncio.run(main())


def test_defect_oneiric_o6_processes_that_write_at_once_never_break_the_file(
    tmp_path: Path,
) -> None:
    """Three processes write a hundred times each; whoever reads meanwhile sees a whole file."""
    path = tmp_path / "t.json"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(str(path), n, 100)) for n in range(3)]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        found = TelemetryFile.read(path)
        assert found.problem == ""
        seen += bool(found.document)
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert seen > 0
    assert [each.name for each in tmp_path.iterdir()] == ["t.json"]


# -- the lifecycle ----------------------------------------------------------------------


async def test_defect_oneiric_l14_swaps_are_counted_before_anything_is_written(
    tmp_path: Path,
) -> None:
    """Metrics, status and the summary in the file agree on what happened, failures included."""
    async with opened(tmp_path) as runtime:
        runtime.telemetry.begin()
        await runtime.lifecycle.activate("adapter:pen")
        await runtime.swap("adapter:pen", provider="biro")
        await runtime.swap("adapter:pen", provider="dry")
        await runtime.telemetry.flush()
        found = written(tmp_path)
        status = runtime.lifecycle.status("adapter:pen")
        told = {
            result: runtime.metrics.value(
                "oneiric_lifecycle_swaps_total", domain="adapter", result=result
            )
            for result in ("ok", "failed", "rolled-back")
        }
        timed = runtime.metrics.value("oneiric_lifecycle_swap_duration_seconds", domain="adapter")

    assert told == {"ok": 1, "failed": 1, "rolled-back": 0}
    assert (status.swaps.count, status.failed_swaps) == (1, 1)
    assert (found["swaps"]["samples"], found["swaps"]["success_rate"]) == (2, 0.5)
    assert found["swaps"]["p50_ms"] == found["swaps"]["p99_ms"] == status.swaps.as_json()["p50_ms"]
    assert isinstance(timed, Distribution)
    assert timed.samples == 1
    assert (found["last_swap"]["success"], found["last_swap"]["failed_phase"]) == (False, "init")


async def test_defect_oneiric_l15_a_restarted_process_claims_nothing_to_be_up(
    tmp_path: Path,
) -> None:
    """The file of the process before tells of the past; states are those of this process."""
    async with opened(tmp_path) as runtime:
        runtime.telemetry.begin()
        await runtime.swap("adapter:pen", provider="biro")

    status = await asyncio.to_thread(operator(tmp_path).status, domain="adapter")

    assert {str(each.state) for _, each in status.rows} == {"inactive"}
    assert status.as_json()["telemetry"] is not None


async def test_defect_oneiric_l16_bringing_components_up_writes_no_file(tmp_path: Path) -> None:
    """Three hundred activations cost no write at all, telemetry on."""
    many = Plugin([Candidate(f"service:s{number}", "p", Good) for number in range(300)])
    async with RuntimeOrchestrator.open(folder=tmp_path, plugins=(many,)) as runtime:
        runtime.telemetry.begin()
        for number in range(300):
            await runtime.lifecycle.activate(f"service:s{number}")
        await runtime.telemetry.flush()
        up = runtime.metrics.value("oneiric_lifecycle_components", domain="service")
        assert files(tmp_path) == []

    assert up == 300
    assert runtime.metrics.value("oneiric_lifecycle_components", domain="service") == 0


async def test_a_serving_process_records_workflows_as_they_end(tmp_path: Path) -> None:
    """What the steps did is read from the journal when the file is written, not before."""
    async with Work(opened(tmp_path)) as work:
        recorder = work.runtime.telemetry
        recorder.begin()
        handles = [await work.workflows.start("fine", {}) for _ in range(5)]
        for handle in handles:
            await handle.settled()
        await (await work.workflows.start("broken", {})).settled()
        assert not (tmp_path / ".oneiric_cache/runtime_telemetry.json").exists()
        await recorder.flush(work.journal.read)
        found = written(tmp_path)

    assert (found["last_workflow"]["workflow"], found["last_workflow"]["state"]) == (
        "broken",
        "failed",
    )
    assert len(found["recent"]) == 6


async def until(condition: Any) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  whatever it is
            await asyncio.sleep(0.005)
