"""Runs that tell people: what their steps notify, and how they end."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.errors import JSONValue
from oneiric.ports import DeadLetter, NotificationMessage, SendResult, UnavailableError
from oneiric.runs.event import EventKind
from oneiric.runs.run import Run
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.notification_route import NotificationRoute
from oneiric.runtime.runs import RunDesk
from oneiric.runtime.work import Work
from oneiric.runtime.workflows import WorkDesk
from oneiric.stores.dead_letters import DeadLetterStore
from tests.contract.chat import SECRET, TOKEN, Chat

EVERY = ["succeeded", "failed", "canceled"]
NOTE: Mapping[str, JSONValue] = {
    "id": "note",
    "task": "action:workflow.notify",
    "payload": {"message": "Order taken", "level": "warning", "context": {"token": "hunter2"}},
}


class Pager:
    """A messenger that takes messages, unless told not to, and answers when it may."""

    def __init__(self) -> None:
        self.taken: list[NotificationMessage] = []
        self.error: Exception | None = None
        self.may_take, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_take.set()
        self.may_answer.set()
        self.begun, self.took = asyncio.Event(), asyncio.Event()

    async def send_notification(self, message: NotificationMessage) -> SendResult:
        self.begun.set()
        await self.may_take.wait()
        if self.error is not None:
            raise self.error
        self.taken.append(message)
        self.took.set()
        await self.may_answer.wait()
        return SendResult(message_id=f"p-{len(self.taken)}", provider="pager")


class Step:
    """A task that succeeds, fails or takes for ever, as its payload says."""

    async def run(self, payload: Any) -> Any:
        if payload.get("hangs"):
            await asyncio.Event().wait()
        if payload.get("fails"):
            raise ConnectionError("https://ann:hunter2@shop.test does not answer")
        return {"by": "step"}


def workflow(key: str, notifications: JSONValue, *nodes: JSONValue, **dag: Any) -> Candidate:
    table: Any = {"nodes": list(nodes) or [{"id": "a", "task": "step"}], **dag}
    metadata = {"dag": table, "notifications": notifications}
    return Candidate(f"workflow:{key}", "p", object, metadata=metadata)


def plugin(pager: Pager) -> Plugin:
    one: JSONValue = {"provider": "pager", "channel": "orders"}
    return Plugin(
        [
            Candidate("adapter:messaging", "pager", lambda: pager, priority=-10),
            Candidate("task:step", "p", Step),
            workflow("notes", one, NOTE),
            workflow("quiet", {}, NOTE),
            workflow("every", {**one, "on": EVERY}),  # type: ignore[dict-item]
            workflow("late", {**one, "on": ["timed-out"]}, timeout_seconds=0.05),  # type: ignore[dict-item]
            workflow("happy", {**one, "on": ["succeeded"]}),  # type: ignore[dict-item]
            workflow("wrong", {"chanel": "x", "on": EVERY}),
            workflow("untitled", [{**one, "on": EVERY, "target": "\n"}, {**one, "on": EVERY}]),  # type: ignore[dict-item]
        ]
    )


@pytest.fixture
def pager() -> Pager:
    return Pager()


def opened(folder: Path, pager: Pager) -> RuntimeOrchestrator:
    return RuntimeOrchestrator.open(folder=folder, plugins=[plugin(pager)])


@asynccontextmanager
async def working(folder: Path, pager: Pager, *, checkpoints: bool = True) -> AsyncIterator[Work]:
    async with asyncio.timeout(60), Work(opened(folder, pager), checkpoints=checkpoints) as work:
        yield work


async def ran(folder: Path, pager: Pager, key: str, **given: JSONValue) -> Run:
    async with working(folder, pager) as work:
        return (await work.workflows.run(key, given)).run


def store(folder: Path) -> DeadLetterStore:
    return DeadLetterStore(folder / ".oneiric_cache" / "oneiric.sqlite")


async def letters(folder: Path) -> list[DeadLetter]:
    return list(await store(folder).letters())


async def test_a_step_that_notifies_is_sent_by_the_routes_of_its_workflow(
    tmp_path: Path, pager: Pager
) -> None:
    """And what came of it is in the step's result; secrets are masked."""
    run = await ran(tmp_path, pager, "notes")

    (message,) = pager.taken
    result: Any = run.results["note"]
    assert (message.text, message.target, message.title) == ("Order taken", "orders", "notes")
    assert (message.level, "hunter2" in str(message)) == ("warning", False)
    assert result["message"] == "Order taken"
    assert result["notification"]["status"] == "sent"
    assert result["notification"]["outcomes"][0]["message_id"] == "p-1"


async def test_a_step_of_a_workflow_without_routes_is_only_logged(
    tmp_path: Path, pager: Pager
) -> None:
    """As it always was."""
    run = await ran(tmp_path, pager, "quiet")

    result: Any = run.results["note"]
    assert (pager.taken, result["status"], "notification" in result) == ([], "logged", False)


async def test_promise_w2_a_step_that_was_recorded_is_not_sent_again(
    tmp_path: Path, pager: Pager
) -> None:
    """A run that failed after it is gone on with, and nobody is told twice."""
    late = workflow(
        "then", {"provider": "pager"}, NOTE, {"id": "b", "task": "gate", "depends_on": ["note"]}
    )
    gate = Candidate("task:gate", "p", lambda: Gate(tmp_path / "open"))
    more = [plugin(pager), Plugin([late, gate])]
    async with Work(RuntimeOrchestrator.open(folder=tmp_path, plugins=more)) as work:
        failed = (await work.workflows.run("then")).run
    (tmp_path / "open").touch()
    async with Work(RuntimeOrchestrator.open(folder=tmp_path, plugins=more)) as work:
        run = await (await work.engine.retry(failed.run_id))

    assert (str(failed.state), str(run.state), len(pager.taken)) == ("failed", "succeeded", 1)


class Gate:
    """A task that fails until there is a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def run(self, payload: Any) -> Any:
        if not self._path.exists():
            raise ConnectionError("it is shut")
        return {}


async def test_promise_w2_a_step_that_is_done_again_sends_the_same_message(
    tmp_path: Path, pager: Pager
) -> None:
    """After a crash between the sending and its record: the receiver can tell by the id."""
    pager.may_answer.clear()
    async with working(tmp_path, pager) as work:
        handle = await work.workflows.start("notes")
        await pager.took.wait()
        await work.engine.close()
    pager.may_answer.set()
    async with working(tmp_path, pager) as work:
        run = await (await work.engine.resume(handle.run_id))

    first, second = pager.taken
    assert (str(run.state), first.id) == ("succeeded", second.id)


async def test_a_step_whose_message_is_not_taken_succeeds_and_keeps_it(
    tmp_path: Path, pager: Pager
) -> None:
    """Nothing is lost, and the result tells the letter."""
    pager.error = UnavailableError("pager", "away")
    run = await ran(tmp_path, pager, "notes")
    (letter,) = await letters(tmp_path)
    result: Any = run.results["note"]
    pager.error = None
    async with opened(tmp_path, pager) as runtime:
        (replayed,) = await runtime.notifications.replay()

    assert (str(run.state), result["notification"]["status"]) == ("succeeded", "failed")
    assert result["notification"]["outcomes"][0]["dead_letter"] == letter.id
    assert (replayed.success, pager.taken[0].id) == (True, letter.id)


@pytest.mark.parametrize(
    ("key", "given", "end", "level"),
    [
        ("every", {}, "succeeded", "info"),
        ("every", {"fails": True}, "failed", "error"),
        ("late", {"hangs": True}, "timed out", "error"),
    ],
)
async def test_the_end_of_a_run_is_told_once(
    key: str, given: dict[str, JSONValue], end: str, level: str, tmp_path: Path, pager: Pager
) -> None:
    """To whom the workflow names for it; the run notes it, and no letter is left."""
    run = await ran(tmp_path, pager, key, **given)
    async with working(tmp_path, pager) as work:
        await work.notices.recover()
        noted: Any = await work.notices.told(run.run_id)

    (message,) = pager.taken
    assert message.text.startswith(f"workflow:{key} {end}")
    assert (message.level, message.target, message.title) == (level, "orders", key)
    assert (message.context["run"], "hunter2" in message.text) == (run.run_id, False)
    assert [(each["success"], each["message_id"]) for each in noted] == [(True, "p-1")]
    assert await letters(tmp_path) == []


@pytest.mark.parametrize(
    ("key", "given"), [("happy", {"fails": True}), ("late", {}), ("notes", {}), ("wrong", {})]
)
async def test_an_end_that_no_route_asks_for_is_not_told(
    key: str, given: dict[str, JSONValue], tmp_path: Path, pager: Pager
) -> None:
    """Nor one by a route that nobody can follow; the run ends as it would."""
    run = await ran(tmp_path, pager, key, **given)

    assert run.state.is_over
    assert [message for message in pager.taken if "workflow:" in message.text] == []


async def test_a_run_that_is_canceled_is_told(tmp_path: Path, pager: Pager) -> None:
    """By whoever ended it: who ran it."""
    async with working(tmp_path, pager) as work:
        handle = await work.workflows.start("every", {"hangs": True})
        await work.engine.cancel(handle.run_id, actor="ann")
        await handle

    (message,) = pager.taken
    assert (message.text, message.level) == ("workflow:every canceled", "warning")


def test_a_run_that_nobody_holds_is_canceled_and_told(tmp_path: Path, pager: Pager) -> None:
    """The command that ends it sends the message."""

    async def left() -> str:
        async with working(tmp_path, pager) as work:
            return await work.engine.enqueue(work.workflows.plan("every"), {})

    run_id = asyncio.run(left())
    RunDesk(opened(tmp_path, pager)).cancel(run_id)

    assert [message.text for message in pager.taken] == ["workflow:every canceled"]


async def test_each_end_of_a_run_is_told(tmp_path: Path, pager: Pager) -> None:
    """One that failed and was retried has ended twice: two messages, with two ids."""
    first = await ran(tmp_path, pager, "every", fails=True)
    async with working(tmp_path, pager) as work:
        again = await (await work.engine.retry(first.run_id))

    assert str(again.state) == "failed"
    assert len({message.id for message in pager.taken}) == len(pager.taken) == 2


async def test_a_failure_to_send_changes_no_run(
    tmp_path: Path, pager: Pager, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, noted in the run, and kept; a replay sends the same message."""
    pager.error = UnavailableError("pager", "away")
    with caplog.at_level(logging.ERROR):
        run = await ran(tmp_path, pager, "every")
    (letter,) = await letters(tmp_path)
    pager.error = None
    async with working(tmp_path, pager) as work:
        await work.notices.recover()  # it is owed no more: a person decides
        taken = list(pager.taken)
        noted: Any = await work.notices.told(run.run_id)
        (replayed,) = await work.runtime.notifications.replay(letter.id)

    assert (str(run.state), taken, replayed.success) == ("succeeded", [], True)
    assert (letter.reason, letter.attempts, letter.error) == ("failed", 1, "pager: away")
    assert (noted[0]["success"], noted[0]["dead_letter"]) == (False, letter.id)
    assert "notification-not-sent" in caplog.text


async def test_one_route_that_is_wrong_stops_no_other(tmp_path: Path, pager: Pager) -> None:
    """The first names no target that can be; the second is told."""
    run = await ran(tmp_path, pager, "untitled")

    assert (str(run.state), len(pager.taken)) == ("succeeded", 1)


async def test_what_a_killed_process_owed_is_sent_by_the_next(tmp_path: Path, pager: Pager) -> None:
    """The message was kept before the end was recorded; it goes out when that is so, once."""
    pager.may_take.clear()
    async with working(tmp_path, pager) as work:
        handle = await work.workflows.start("every")
        await pager.begun.wait()
        await work.engine.close()  # the end is stored, and nobody knows whether it was sent
    (owed,) = await letters(tmp_path)
    pager.may_take.set()
    async with working(tmp_path, pager) as work:
        await work.notices.recover()
        assert pager.taken == []  # it is claimed by who was killed, for a while
        await store(tmp_path).add(owed)
        await work.notices.recover()
        await work.notices.recover()
        noted: Any = await work.notices.told(handle.run_id)

    assert (owed.reason, owed.claimed_until != "") == ("owed", True)
    assert [message.id for message in pager.taken] == [owed.id]
    assert [each["success"] for each in noted] == [True]
    assert await letters(tmp_path) == []


@pytest.mark.parametrize(("end", "left"), [("succeeded", 1), ("failed", 0)])
async def test_what_was_owed_about_an_end_that_did_not_come_is_not_sent(
    end: str, left: int, tmp_path: Path, pager: Pager
) -> None:
    """While the run goes on it waits; when it ended otherwise it is forgotten."""
    async with working(tmp_path, pager) as work:
        run_id = await work.engine.enqueue(work.workflows.plan("every"), {})
        router = work.runtime.notifications
        route = NotificationRoute(provider="pager")
        message = router.message({"message": "too early"}, route, message_id="early")
        await router.owe(message, route, {"run": run_id, "end": end, "round": 0})
        await work.notices.recover()
        early = list(pager.taken)
        await (await work.engine.resume(run_id))
        await work.notices.recover()

    texts = [message.text for message in pager.taken]
    assert (early, texts.count("too early"), len(texts)) == ([], left, 1 + left)
    assert await letters(tmp_path) == []


def test_the_command_tells_who_was_told(tmp_path: Path, pager: Pager) -> None:
    """In the document of `workflow run --json`."""
    answer: Any = WorkDesk(opened(tmp_path, pager)).run("every").as_json()
    unkept: Any = WorkDesk(opened(tmp_path, pager)).run("every", checkpoints=False).as_json()

    assert [each["provider"] for each in answer["notifications"]] == ["pager"]
    assert [each["provider"] for each in unkept["notifications"]] == ["pager"]
    assert len(pager.taken) == 2


def test_a_worker_tells_how_its_runs_end(tmp_path: Path, pager: Pager) -> None:
    """As the command that runs a workflow does."""
    WorkDesk(opened(tmp_path, pager)).enqueue("every")
    answer = WorkDesk(opened(tmp_path, pager)).work(once=True)

    assert (answer.report.done, len(pager.taken)) == (1, 1)


@pytest.mark.parametrize("provider", ["slack", "teams", "webhook"])
async def test_a_run_is_told_through_each_provider(provider: str, tmp_path: Path) -> None:
    """To receivers as strict as the real ones, on loopback."""
    chat = Chat()
    runner = web.AppRunner(chat.app(), shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    base = f"http://127.0.0.1:{place.port}"
    settings = {
        "slack": {"token": TOKEN, "default_channel": "d", "base_url": f"{base}/slack/api"},
        "teams": {"webhook_url": f"{base}/teams/{TOKEN}"},
        "webhook": {"url": f"{base}/hook/{TOKEN}", "secret": SECRET},
    }[provider]
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (tmp_path / "oneiric.toml").write_text(
        "\n".join([f"[adapters.provider_settings.{provider}]", *lines, ""])
    )
    told = workflow("told", {"provider": provider, "channel": "orders", "on": EVERY}, NOTE)
    runtime = RuntimeOrchestrator.open(folder=tmp_path, plugins=[Plugin([told])])
    try:
        async with asyncio.timeout(60), Work(runtime) as work:
            run = (await work.workflows.run("told")).run
            noted: Any = await work.notices.told(run.run_id)
            kinds = [event.kind for event in await work.journal.read(run.run_id)]
    finally:
        await runner.cleanup()

    assert (chat.problems, len(chat.received)) == ([], 2)
    assert [each["success"] for each in noted] == [True]
    assert kinds[-2:] == [EventKind.RUN_ENDED, EventKind.NOTED]
    assert TOKEN not in str(run.results)
