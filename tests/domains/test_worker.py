"""The worker: one message in, one recorded run out, with real queues."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from oneiric.adapters.queue.redis_streams import RedisStreamsQueue, RedisStreamsQueueSettings
from oneiric.adapters.queue.sqlite import SqliteQueue, SqliteQueueSettings
from oneiric.clock import SystemClock
from oneiric.core.candidate import Candidate
from oneiric.domains import ALL
from oneiric.domains.events import EventBridge
from oneiric.domains.messages import WorkMessage
from oneiric.domains.recovery import Recovery
from oneiric.domains.worker import EventMessages, Processor, RunMessages, Worker, WorkerLimits
from oneiric.errors import JSONValue
from oneiric.ports.queue import Queue
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.state import RunState
from tests.domains.works import Script, Workplace, eventually, task, workflow, workplace
from tests.servers import RedisServer

Opened: TypeAlias = Callable[..., AbstractAsyncContextManager[Queue]]
ORDER = workflow("order", {"id": "charge", "task": "charge"})


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for this file."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


def sqlite(folder: Path) -> Opened:
    @asynccontextmanager
    async def opened(visibility: float = 30.0) -> AsyncIterator[Queue]:
        queue = SqliteQueue(
            SqliteQueueSettings(
                path=folder / "queue.sqlite",
                durable=False,
                poll_interval=0.01,
                visibility_timeout=visibility,
            )
        )
        await queue.init()
        yield queue
        await queue.cleanup()

    return opened


@pytest.fixture
def queues(tmp_path: Path) -> Opened:
    """Open the embedded queue."""
    return sqlite(tmp_path)


@pytest.fixture(params=["sqlite", "redis-streams"])
def any_queue(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Open a queue of each provider."""
    if request.param == "sqlite":
        return sqlite(tmp_path)
    port = request.getfixturevalue("redis_server").port

    @asynccontextmanager
    async def opened(visibility: float = 30.0) -> AsyncIterator[Queue]:
        settings = RedisStreamsQueueSettings(
            host="127.0.0.1", port=port, stream=tmp_path.name, visibility_timeout=visibility
        )
        queue = RedisStreamsQueue(settings)
        await queue.init()
        yield queue
        await queue.cleanup()

    return opened


def working(
    place: Workplace, queue: Queue, process: Processor | None = None, **limits: Any
) -> Worker:
    """Return a worker that gives back soon."""
    return Worker(
        queue,
        process or RunMessages(place.tasks, place.workflows),
        clock=SystemClock(),
        guard=place.lifecycle.builder.guard,
        limits=WorkerLimits(**{"back": 0.05, "beat": 0.1, **limits}),
        let_go=place.engine.close,
    )


def asked(
    run_id: str, kind: str = "workflow", key: str = "order", **more: Any
) -> Mapping[str, JSONValue]:
    return WorkMessage(kind, key, run_id, **more).as_json()


def charging(script: Script) -> list[Candidate]:
    return [task("charge", script.task("charge"))]


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[Mapping[str, object]]:
    found = [each.msg for each in caplog.records if isinstance(each.msg, dict)]
    return [each for each in found if each["event"] == event]


async def is_empty(queue: Queue) -> bool:
    return await queue.pending() == 0


async def test_a_message_is_acknowledged_only_after_its_run_is_recorded(any_queue: Opened) -> None:
    """Until then the queue has it, whichever provider that is."""
    script = Script(gates={"charge": asyncio.Event()})
    more: Any = {"clock": SystemClock(), "also": charging(script)}
    async with (
        any_queue() as queue,
        workplace(ORDER, **more) as place,
        asyncio.TaskGroup() as group,
    ):
        await queue.enqueue(asked("r-1", given={"n": 1}))
        worker = working(place, queue)
        running = group.create_task(worker.run())
        await script.until("charge")
        assert await queue.pending() == 1
        script.gates["charge"].set()
        await eventually(partial(is_empty, queue))
        assert (await place.engine.get("r-1")).state is RunState.SUCCEEDED
        worker.stop()
        assert (await running).done == 1
    assert script.calls == [("charge", {"n": 1})]


async def test_two_workers_and_two_deliveries_are_one_run(any_queue: Opened) -> None:
    """Whoever is second finds the run under way or over, and acknowledges without doing it."""
    script, journal = Script(), MemoryJournal(SystemClock())
    more: Any = {"clock": SystemClock(), "also": charging(script), "journal": journal}
    async with (
        any_queue() as queue,
        workplace(ORDER, **more) as one,
        workplace(ORDER, **more) as two,
    ):
        for _ in range(4):
            await queue.enqueue(asked("r-1"))
        async with asyncio.TaskGroup() as group:
            for place in (one, two):
                group.create_task(working(place, queue).run(until_empty=True))
        while await queue.pending():  # one that was held elsewhere comes back
            await working(one, queue).run(until_empty=True)
        assert len(await journal.runs()) == 1
    assert script.names == ["charge"]


async def test_a_failed_run_and_a_waiting_one_are_recorded(queues: Opened) -> None:
    """What came of the run is in the journal, and the queue has no more to do with it."""
    script = Script(failures={"charge": 1})
    waiting = workflow("approval", {"id": "wait", "signal": "approved"})
    more: Any = {"clock": SystemClock(), "also": charging(script)}
    async with queues() as queue, workplace(ORDER, waiting, **more) as place:
        await queue.enqueue(asked("r-1"))
        await queue.enqueue(asked("r-2", key="approval"))
        await queue.enqueue(asked("r-3", "task", "charge", given=3))
        report = await working(place, queue).run(until_empty=True)
        states = [(await place.engine.get(f"r-{n}")).state for n in (1, 2, 3)]
        assert await queue.pending() == 0
    assert (report.done, states) == (3, [RunState.FAILED, RunState.RUNNING, RunState.SUCCEEDED])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x00", ""),
        (b"[]", "a message is a table"),
        (b"{}", "it names no workflow and no task"),
        (b'{"workflow": "order"}', "delivered twice it would run twice"),
        (b'{"workflow": "a/b", "run_id": "r"}', "'a/b' is no name"),
        (b'{"workflow": "order", "run_id": "../x"}', "run_id"),
        (b'{"workflow": "order", "run_id": "r", "checkpoint": {"charge": 1}}', "checkpoint"),
        (b'{"workflow": "order", "run_id": "r", "context": [1]}', "context"),
    ],
)
async def test_poison_is_set_aside_with_its_reason(
    queues: Opened, caplog: pytest.LogCaptureFixture, body: bytes, reason: str
) -> None:
    """At once, and nothing is run; a checkpoint is not the sender's to give."""
    async with queues() as queue, workplace(ORDER, also=charging(Script())) as place:
        await queue.publish(body)
        report = await working(place, queue).run(until_empty=True)
        assert (report.aside, await queue.pending()) == (1, 0)
        assert not await place.journal.runs()
    (told,) = logged(caplog, "message-set-aside")
    assert reason in str(told["reason"])


async def test_what_cannot_be_begun_is_tried_again_then_set_aside(
    queues: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that does not know the workflow leaves it to others, a few times."""
    async with queues() as queue, workplace(ORDER, also=charging(Script())) as place:
        await queue.enqueue(asked("r-1", key="oder"))
        worker = working(place, queue, deliveries=3)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            await eventually(partial(is_empty, queue))
            worker.stop()
    assert (worker.report.back, worker.report.aside) == (2, 1)
    assert "workflow:oder" in str(logged(caplog, "message-set-aside")[0]["reason"])


async def test_a_run_id_of_something_else_is_refused(queues: Opened) -> None:
    """A message cannot pass for one that was done already."""
    script = Script()
    async with queues() as queue, workplace(ORDER, also=charging(script)) as place:
        await place.tasks.run("charge", run_id="r-1")
        await queue.enqueue(asked("r-1"))
        assert (await working(place, queue).run(until_empty=True)).aside == 1


async def test_promise_a1_messages_for_what_is_paused_come_back(queues: Opened) -> None:
    """They are given back, however often, and done when it is resumed."""
    script = Script()
    more: Any = {"clock": SystemClock(), "also": charging(script)}
    async with queues() as queue, workplace(ORDER, **more) as place, asyncio.TaskGroup() as group:
        await place.workflows.pause("order")
        await queue.enqueue(asked("r-1"))
        worker = working(place, queue, deliveries=1, back=0.01)
        group.create_task(worker.run())
        await eventually(lambda: worker.report.back >= 3)
        assert script.names == []
        await place.workflows.resume("order")
        await script.until("charge")
        worker.stop()
    assert worker.report.done == 1


async def test_no_more_messages_are_worked_on_than_allowed(queues: Opened) -> None:
    """The others stay in the queue, for other workers."""
    script = Script(gates={"charge": asyncio.Event()})
    more: Any = {"clock": SystemClock(), "also": charging(script)}
    async with queues() as queue, workplace(ORDER, **more) as place, asyncio.TaskGroup() as group:
        for number in range(5):
            await queue.enqueue(asked(f"r-{number}"))
        worker = working(place, queue, concurrency=2)
        group.create_task(worker.run())
        await eventually(lambda: len(script.names) == 2)
        assert len(await queue.read(count=10)) == 3
        assert script.names == ["charge", "charge"]
        script.gates["charge"].set()
        worker.stop()


@pytest.mark.parametrize("beat", [0.2, 15.0])
async def test_a_long_run_keeps_its_message(any_queue: Opened, beat: float) -> None:
    """It is prolonged for as long as the work goes on, so nobody else gets it.

    A beat that is longer than the queue keeps a message gives way to what the queue says.
    """
    script = Script(gates={"charge": asyncio.Event()})
    more: Any = {"clock": SystemClock(), "also": charging(script)}
    async with (
        any_queue(1.0) as queue,
        any_queue(1.0) as other,
        workplace(ORDER, **more) as place,
        asyncio.TaskGroup() as group,
    ):
        await queue.enqueue(asked("r-1"))
        worker = working(place, queue, beat=beat)
        group.create_task(worker.run())
        await script.until("charge")
        assert await other.read(timeout=1.8) == []
        script.gates["charge"].set()
        worker.stop()
    assert worker.report.done == 1


async def test_a_drained_worker_finishes_what_it_began(queues: Opened) -> None:
    """It takes no more messages, and what is under way is done within the grace."""
    script = Script(gates={"charge": asyncio.Event()})
    more: Any = {"clock": SystemClock(), "also": charging(script)}
    async with queues() as queue, workplace(ORDER, **more) as place, asyncio.TaskGroup() as group:
        await queue.enqueue(asked("r-1"))
        worker = working(place, queue, concurrency=1)
        running = group.create_task(worker.run())
        await script.until("charge")
        await queue.enqueue(asked("r-2"))
        worker.stop()
        script.gates["charge"].set()
        assert (await running).done == 1
        assert await queue.pending() == 1


async def test_what_outlasts_the_grace_is_given_back_and_finished_elsewhere(
    queues: Opened,
) -> None:
    """The run is let go, the message is there at once, and nothing recorded is done again."""
    script = Script(gates={"ship": asyncio.Event()})
    nodes: list[Any] = [
        {"id": "charge", "task": "charge"},
        {"id": "ship", "task": "ship", "depends_on": ["charge"]},
    ]
    order, journal = workflow("order", *nodes), MemoryJournal(SystemClock())
    also = [*charging(script), task("ship", script.task("ship"))]
    more: Any = {"clock": SystemClock(), "also": also, "journal": journal}
    async with queues() as queue:
        async with workplace(order, **more) as place, asyncio.TaskGroup() as group:
            await queue.enqueue(asked("r-1"))
            worker = working(place, queue, grace=0.05)
            running = group.create_task(worker.run())
            await script.until("ship")
            worker.stop()
            report = await running
        assert (report.done, report.back) == (0, 1)
        script.gates.clear()
        async with workplace(order, **more) as place:
            assert (await working(place, queue).run(until_empty=True)).done == 1
            assert (await place.engine.get("r-1")).state is RunState.SUCCEEDED
    assert script.names == ["charge", "ship", "ship"]


async def test_events_are_told_to_their_handlers(
    queues: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that is no event is set aside; what handlers miss is a dead letter."""
    heard: list[Any] = []

    class Handler:
        async def handle(self, event: Any) -> None:
            heard.append(event.data)
            if event.data == "fail":
                raise ValueError("no")

    handler = Candidate("event:h", "test", Handler, metadata={"event_topics": ["order.*"]})
    async with queues() as queue, workplace(handler) as place:
        bridge = EventBridge(ALL["event"], place.lifecycle)
        for data in ("first", "fail"):
            event = {"specversion": "1.0", "id": data, "source": "t", "type": "order.made"}
            await queue.enqueue({**event, "data": data})
        await queue.publish(b"{}")
        report = await working(place, queue, EventMessages(bridge)).run(until_empty=True)
        letters = await bridge.letters()
    assert (report.done, report.aside) == (2, 1)
    assert (heard, len(letters)) == (["first", "fail"], 1)


async def test_a_message_can_be_pushed(queues: Opened) -> None:
    """The same work without a queue: the run when it is over."""
    script = Script()
    async with workplace(ORDER, also=charging(script)) as place:
        process = RunMessages(place.tasks, place.workflows)
        for _ in range(2):
            run = await process.process(WorkMessage("workflow", "order", "r-1", {"n": 1}))
            assert (run.run_id, run.state) == ("r-1", RunState.SUCCEEDED)
    assert script.names == ["charge"]


class Plain:
    """A queue that can do nothing but take messages."""

    taken: list[Any]

    def __init__(self) -> None:
        self.taken = []

    async def enqueue(self, payload: Any, **more: Any) -> str:
        assert not {key for key, value in more.items() if value is not None}
        self.taken.append(payload)
        return "m-1"


async def test_defect_oneiric_d10_any_provider_of_the_port_takes_workflows() -> None:
    """Asked for by name or category, with or without capabilities; the message is the same."""
    plain = Plain()
    offers = [
        Candidate("adapter:queue", "plain", lambda: plain),
        Candidate("adapter:jobs", "plain", lambda: plain),
    ]
    jobs = workflow(
        "jobs", {"id": "charge", "task": "charge"}, dag={"scheduler": {"category": "jobs"}}
    )
    async with workplace(ORDER, jobs, *offers, also=charging(Script())) as place:
        first = await place.workflows.enqueue("order", {"n": 1}, metadata={"who": "t"})
        named = await place.workflows.enqueue("order", queue="plain")
        other = await place.workflows.enqueue("jobs@test")
    assert (first.queue_category, named.queue_provider, other.queue_category) == (
        "queue", "plain", "jobs",
    )  # fmt: skip
    assert plain.taken[0] == {
        "workflow": "order",
        "run_id": first.message.run_id,
        "workflow_provider": None,
        "context": {"n": 1},
        "metadata": {"who": "t"},
        "queued_at": "2026-01-01T00:00:00.000000Z",
    }
    assert plain.taken[2]["workflow_provider"] == "test"
    assert json.loads(json.dumps(first.as_json()))["task_name"] == "m-1"


async def test_recovery_takes_up_only_what_it_can_do() -> None:
    """Runs of tasks and workflows whose steps are known here, and nobody else's."""
    script, journal = Script(), MemoryJournal(SystemClock())
    more: Any = {"clock": SystemClock(), "journal": journal}
    other = workflow("other", {"id": "a", "task": "elsewhere"})
    there = [*charging(script), task("elsewhere", script.task("elsewhere"))]
    async with workplace(ORDER, other, also=there, **more) as place:
        for key in ("order", "other"):
            await place.engine.enqueue(place.workflows.plan(key), {}, run_id=key)
    async with workplace(ORDER, also=charging(script), **more) as place:
        recovery = Recovery(place.engine, journal, place.bodies, clock=SystemClock())
        taken = await recovery.look()
        assert [(await handle).run_id for handle in taken] == ["order"]
        assert (await place.engine.get("other")).state is RunState.QUEUED
    assert script.names == ["charge"]
