"""Workers and what another process pauses, drains or resumes while they serve."""

import asyncio
import json
from functools import partial

import pytest

from oneiric.adapters.queue.sqlite import SqliteQueue, SqliteQueueSettings
from oneiric.domains.events.event import Event
from tests.faults.work_folder import Folder

REPORT = "workflow:word-report"


async def publish(folder: Folder, *bodies: bytes) -> None:
    """Put messages into the folder's queue, as a program beside it does."""
    queue = SqliteQueue(SqliteQueueSettings(path=folder.path / ".oneiric_cache" / "queue.sqlite"))
    await queue.init()
    for body in bodies:
        await queue.publish(body)
    await queue.cleanup()


def is_before_report(folder: Folder, run_id: str) -> bool:
    """Tell whether all that comes before the last step of a run is done."""
    return ("step-succeeded", "pause") in folder.events(run_id)


@pytest.mark.parametrize("verb", ["pause", "drain"])
def test_promise_a1_a_worker_begins_nothing_of_a_workflow_paused_elsewhere(
    folder: Folder, verb: str
) -> None:
    """What runs goes on; messages come back, however often, and are done after a resume."""
    worker = folder.working("--concurrency", "1")
    assert folder.call("drain", "task:demo-pause", "--wait")[0] == 0
    first = folder.enqueue(0)
    folder.until(lambda: ("step-succeeded", "count") in folder.events(first))
    others = [folder.enqueue(0) for _ in range(2)]
    assert folder.call(verb, REPORT)[0] == 0
    assert folder.call("workflow", "enqueue", "word-report")[0] == 3
    assert folder.call("resume", "task:demo-pause")[0] == 0

    folder.until(lambda: ("run-ended", "") in folder.events(first))
    folder.until(lambda: len(found := folder.deliveries()) == 2 and min(found) > 6)
    assert [folder.events(run_id) for run_id in others] == [[], []]

    assert folder.call("resume", REPORT)[0] == 0
    folder.until(lambda: folder.messages() == 0)
    ended = [("run-ended", "") in folder.events(run_id) for run_id in (first, *others)]
    answer = folder.stopped(worker)
    assert (ended, answer["done"], answer["set_aside"]) == ([True] * 3, 3, 0)


def test_promise_a1_a_step_waits_while_its_task_is_paused_elsewhere(folder: Folder) -> None:
    """The run is under way, keeps its message, and goes on within a poll of the resume."""
    worker = folder.working()
    assert folder.call("drain", "task:demo-say", "--wait")[0] == 0
    runs = [folder.enqueue(0) for _ in range(2)]
    for run_id in runs:
        folder.until(partial(is_before_report, folder, run_id))
    begun = [("step-started", "report") in folder.events(run_id) for run_id in runs]
    assert (begun, folder.messages()) == ([False, False], 2)

    assert folder.call("resume", "task:demo-say")[0] == 0
    folder.until(lambda: folder.messages() == 0)
    assert folder.stopped(worker)["done"] == 2
    assert [("run-ended", "") in folder.events(run_id) for run_id in runs] == [True, True]


def test_promise_a1_events_for_a_handler_drained_elsewhere_wait_for_it(folder: Folder) -> None:
    """Each message is settled with a dead letter kept, which the resume delivers."""
    worker = folder.working("--events")
    assert folder.call("drain", "event:order-created", "--wait")[0] == 0
    events = [Event(type="order.created", id=f"o-{n}", data={"n": n}) for n in range(3)]
    asyncio.run(publish(folder, *(event.to_bytes() for event in events)))
    folder.until(lambda: folder.messages() == 0)
    letters = folder.json("event", "dead-letters")["dead_letters"]
    assert [letter["reason"] for letter in letters] == ["deferred"] * 3

    assert folder.call("resume", "event:order-created")[0] == 0
    folder.until(lambda: folder.json("event", "dead-letters")["dead_letters"] == [])
    assert folder.stopped(worker)["done"] == 3


def test_promise_a1_a_drain_of_a_workflow_waits_for_its_runs_in_other_processes(
    folder: Folder,
) -> None:
    """Those that are worked on count and are named; it is over when the last has ended."""
    worker = folder.working()
    assert folder.call("drain", "task:demo-pause", "--wait")[0] == 0
    run_id = folder.enqueue(0)
    folder.until(lambda: ("step-succeeded", "count") in folder.events(run_id))
    code, _, err = folder.call("drain", REPORT, "--wait", "--timeout", "0.5")
    assert (code, f"process {worker.pid}  1 in flight: run {run_id}" in err) == (5, True)

    draining = folder.start("drain", REPORT, "--wait", "--json")
    assert folder.call("resume", "task:demo-pause")[0] == 0
    out, err = draining.communicate(timeout=30)
    assert draining.returncode == 0, err
    assert ("run-ended", "") in folder.events(run_id)
    assert [each["in_flight"] for each in json.loads(out)["processes"]] == [0]
    folder.stopped(worker)
