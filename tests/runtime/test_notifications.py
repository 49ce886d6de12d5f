"""Notifications: routes, what is sent by them, and what is kept and sent again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.domains.events import Event
from oneiric.domains.metadata import InvalidMetadataError
from oneiric.errors import InvalidError, JSONValue, NotFoundError
from oneiric.ports import SendResult, UnavailableError
from oneiric.remote.offers import offers_of
from oneiric.remote.verify import unsigned
from oneiric.runtime import Operator, RuntimeOrchestrator
from oneiric.runtime.answers import ActionAnswer
from oneiric.runtime.notification_operator import Notice
from oneiric.runtime.notifications import (
    NotificationMessage,
    NotificationRoute,
    NotificationRouter,
)
from oneiric.stores.dead_letters import DeadLetterStore

RECORD: Mapping[str, JSONValue] = {
    "status": "logged",
    "message": "Deploy ready",
    "channel": "default",
    "level": "warning",
    "recipients": ["ann"],
    "context": {"region": "eu"},
}
PAYLOAD: Mapping[str, JSONValue] = {"message": "Deploy ready", "channel": "deploys"}


class Pager:
    """A messenger that takes messages, unless it is told not to."""

    def __init__(self) -> None:
        self.taken: list[NotificationMessage] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    async def send_notification(self, message: NotificationMessage) -> SendResult:
        self.begun.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.taken.append(message)
        return SendResult(message_id=f"p-{len(self.taken)}", provider="pager")


class Sulk:
    """Handle no event."""

    def handle(self, event: Event) -> None:
        raise ValueError("no")


def workflow(key: str, notifications: JSONValue) -> Candidate:
    dag: Any = {"nodes": [{"id": "a", "task": "action:workflow.audit"}]}
    metadata = {"dag": dag, "notifications": notifications}
    return Candidate(f"workflow:{key}", "p", object, metadata=metadata)


def plugin(*pagers: Pager) -> Plugin:
    names = ("first", "second")
    offers = [
        Candidate("adapter:messaging", name, lambda pager=pager: pager, priority=-10)
        for name, pager in zip(names, pagers, strict=False)
    ]
    return Plugin(
        [
            *offers,
            Candidate("event:sulk", "p", Sulk, metadata={"event_topics": ["order.*"]}),
            workflow("plain", {"channel": "orders", "on": ["failed"]}),
            workflow("quiet", {}),
            workflow(
                "two",
                [
                    {"provider": "first", "target": "ops", "title": "Orders", "x-why": "1"},
                    {"adapter_provider": "second", "channel": "b", "include_context": False},
                ],
            ),
            workflow("wrong", [{"chanel": "x"}, 7, {"on": ["never"]}]),
        ]
    )


def operator(folder: Path, *pagers: Pager) -> Operator:
    return Operator(folder=folder, plugins=(plugin(*pagers),))


async def invoke(
    folder: Path, *pagers: Pager, payload: Mapping[str, JSONValue] = PAYLOAD, **said: Any
) -> ActionAnswer:
    notice = Notice(**said)
    return await operator(folder, *pagers).invoke_action("workflow.notify", payload, notice=notice)


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
async def router(pager: Pager, tmp_path: Path) -> AsyncIterator[NotificationRouter]:
    """The router of a runtime in which a pager can be asked for."""
    runtime = RuntimeOrchestrator.open(folder=tmp_path, plugins=[plugin(pager)])
    async with runtime:
        yield runtime.notifications


def letters(folder: Path) -> DeadLetterStore:
    return DeadLetterStore(folder / ".oneiric_cache" / "oneiric.sqlite")


FIRST = NotificationRoute(provider="first")


async def test_a_result_becomes_one_message(router: NotificationRouter, pager: Pager) -> None:
    """Text, level and facts are the result's; title and target the route's."""
    outcome = await router.send(RECORD, replace(FIRST, channel="orders"), workflow="shop")

    (message,) = pager.taken
    assert message == NotificationMessage(
        id=message.id,
        text="Deploy ready",
        title="shop",
        target="orders",
        level="warning",
        context={"region": "eu", "recipients": ["ann"]},
        at=message.at,
    )
    assert (outcome.success, outcome.provider, outcome.message_id) == (True, "first", "p-1")


@pytest.mark.parametrize(
    ("route", "channel", "target"),
    [
        (NotificationRoute(target="ops", channel="orders"), "deploys", "ops"),
        (NotificationRoute(channel="orders"), "deploys", "deploys"),
        (NotificationRoute(channel="orders"), "default", "orders"),
        (NotificationRoute(), "default", ""),
    ],
)
def test_where_a_message_goes(
    route: NotificationRoute, channel: str, target: str, tmp_path: Path
) -> None:
    """A route's target, else the channel that the message names, else the route's channel."""
    router = RuntimeOrchestrator.open(folder=tmp_path).notifications

    assert router.message({**RECORD, "channel": channel}, route).target == target


@pytest.mark.parametrize("record", [None, "text", {}, {"message": 7}, {**RECORD, "message": " "}])
async def test_a_result_without_a_message_is_told_and_not_kept(
    record: JSONValue, router: NotificationRouter, tmp_path: Path
) -> None:
    """There is nothing that could be sent later."""
    outcome = await router.send(record, FIRST)

    assert (outcome.success, outcome.code, outcome.letter) == (False, "invalid", "")
    assert await letters(tmp_path).letters() == []


async def test_one_route_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    """All are told at once; outcomes stand in the order of the routes."""
    slow, quick = Pager(), Pager()
    slow.gate.clear()
    runtime = RuntimeOrchestrator.open(folder=tmp_path, plugins=[plugin(slow, quick)])
    routes = [FIRST, NotificationRoute(provider="second")]
    async with runtime, asyncio.timeout(20):
        sending = asyncio.ensure_future(runtime.notifications.send_all(RECORD, routes))
        await slow.begun.wait()
        await quick.begun.wait()
        assert not sending.done()
        slow.gate.set()
        outcomes = await sending

    assert [outcome.provider for outcome in outcomes] == ["first", "second"]


async def test_what_was_not_taken_is_kept_and_sent_again_as_the_same_message(
    router: NotificationRouter, pager: Pager, tmp_path: Path
) -> None:
    """Id and time included; the letter stays with the new error, and goes when it is taken."""
    pager.error = UnavailableError("pager", "took too long")
    route = replace(FIRST, channel="orders", extra_payload={"tone": 3})
    outcome = await router.send(RECORD, route, workflow="shop")
    (letter,) = await letters(tmp_path).letters()
    assert (outcome.code, outcome.letter) == ("unavailable", letter.id)
    assert (letter.handler, letter.reason) == ("adapter:messaging@first", "failed")
    assert letter.error == "pager: took too long"

    pager.error = ValueError("still not")
    (failed,) = await router.replay()
    (kept,) = await letters(tmp_path).letters()
    pager.error = None
    (replayed,) = await router.replay(letter.id)

    assert (failed.success, kept.attempts, kept.error) == (False, 2, "ValueError: still not")
    assert (replayed.success, await letters(tmp_path).letters()) == (True, [])
    (message,) = pager.taken
    assert (message.id, message.at) == (letter.event["id"], letter.event["time"])
    assert message.extra_payload == {"tone": 3}
    assert (message.text, message.target, message.title) == ("Deploy ready", "orders", "shop")


async def test_a_letter_is_sent_again_by_one_at_a_time(
    router: NotificationRouter, pager: Pager
) -> None:
    """Whoever comes second is told that it is being replayed."""
    pager.error = UnavailableError("pager", "away")
    await router.send(RECORD, FIRST)
    pager.error = None
    pager.gate.clear()
    pager.begun.clear()
    async with asyncio.timeout(20):
        first = asyncio.ensure_future(router.replay())
        await pager.begun.wait()
        (second,) = await router.replay()
        pager.gate.set()
        (done,) = await first

    assert second.problem == "it is being replayed, or was"
    assert (done.success, len(pager.taken)) == (True, 1)


async def test_an_unknown_provider_is_kept_until_there_is_one(tmp_path: Path, pager: Pager) -> None:
    """A route of a workflow may name what is not installed yet."""
    runtime = RuntimeOrchestrator.open(folder=tmp_path)
    async with runtime:
        outcome = await runtime.notifications.send(RECORD, FIRST)
    later = RuntimeOrchestrator.open(folder=tmp_path, plugins=[plugin(pager)])
    async with later:
        (replayed,) = await later.notifications.replay()

    assert (outcome.code, outcome.letter != "") == ("no-candidate", True)
    assert (replayed.success, len(pager.taken)) == (True, 1)


async def test_nothing_is_sent_unless_it_is_asked_for(tmp_path: Path, pager: Pager) -> None:
    """The action runs, the routes are told, and the answer says that nothing was sent."""
    answer = await invoke(tmp_path, pager, workflow="plain")

    assert answer.notification is not None
    assert (answer.exit_code, answer.notification.status, pager.taken) == (0, "not-asked", [])
    assert answer.notification.lines() == [
        "nothing was sent: --send-notification was not given; 1 route known"
    ]


@pytest.mark.parametrize("key", ["", "quiet"])
async def test_without_a_route_nothing_is_sent_and_that_is_a_failure(
    key: str, tmp_path: Path, pager: Pager
) -> None:
    """It was asked for, and nobody was told: no verb pretends."""
    answer = await invoke(tmp_path, pager, workflow=key, send=True)

    assert answer.notification is not None
    assert (answer.exit_code, answer.notification.status, pager.taken) == (1, "no-route", [])
    assert answer.notification.lines()[0].startswith("nothing was sent: there is no route")


async def test_the_routes_of_a_workflow_are_taken(tmp_path: Path) -> None:
    """Each by its provider, with its own target, title and facts."""
    first, second = Pager(), Pager()
    answer = await invoke(
        tmp_path, first, second, workflow="workflow:two", send=True,
        payload={**PAYLOAD, "context": {"n": 1}},
    )  # fmt: skip

    (ops,), (other,) = first.taken, second.taken
    assert answer.exit_code == 0
    assert (ops.target, ops.title, ops.context) == ("ops", "Orders", {"n": 1})
    assert (other.target, other.title, other.context) == ("deploys", "two", {})
    assert ops.id != other.id


async def test_the_workflow_of_the_sample_manifest_has_a_route(tmp_path: Path) -> None:
    """The command of the quick start, with the manifest's offers registered, sends to the log."""
    sample = Path(__file__).parents[2] / "docs" / "sample_remote_manifest.yaml"
    manifest = unsigned(sample.read_bytes(), "yaml", source="sample", now=datetime.now(UTC))
    desk = Operator(folder=tmp_path)
    allowed = desk.orchestrator.lifecycle.builder.allowed
    offers = offers_of(manifest, allowed=allowed).candidates
    desk.orchestrator.resolver.replace_source(manifest.source, offers)
    notice = Notice(workflow="fastblocks.workflows.fulfillment", send=True)

    answer = await desk.invoke_action("workflow.notify", PAYLOAD, notice=notice)

    assert answer.notification is not None
    assert (answer.exit_code, answer.notification.status) == (0, "sent")
    (route,), (outcome,) = answer.notification.routes, answer.notification.outcomes
    assert route == NotificationRoute(channel="orders", on=("failed", "succeeded"))
    assert (outcome.target, outcome.provider) == ("deploys", "log")


async def test_options_lie_over_the_routes(tmp_path: Path) -> None:
    """Two routes that become the same are one; without any the options are the route."""
    first, second = Pager(), Pager()
    over = NotificationRoute(provider="second", target="night", title="T")
    await invoke(tmp_path, first, second, workflow="plain", send=True, override=over)
    await invoke(tmp_path, first, second, workflow="quiet", send=True, override=over)
    await invoke(tmp_path, first, second, send=True, override=over)

    assert first.taken == []
    assert [(each.target, each.title) for each in second.taken] == [("night", "T")] * 3


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"workflow": "plan", "send": True}, NotFoundError),
        ({"send": True, "override": NotificationRoute(provider="frst")}, NotFoundError),
        ({"override": NotificationRoute(target="ops")}, InvalidError),
        ({"workflow": "wrong", "send": True}, InvalidMetadataError),
    ],
)
async def test_what_is_wrong_is_told_before_anything_is_done(
    said: dict[str, Any], error: type[Exception], tmp_path: Path, pager: Pager
) -> None:
    """Nothing is sent, nothing kept."""
    with pytest.raises(error):
        await invoke(tmp_path, pager, **said)

    assert pager.taken == []
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_every_problem_of_the_routes_is_told_at_once(tmp_path: Path) -> None:
    """With the nearest spelling, and where it stands."""
    with pytest.raises(InvalidMetadataError) as caught:
        await invoke(tmp_path, workflow="wrong", send=True)

    assert [problem.key for problem in caught.value.problems] == [
        "notifications.0.chanel",
        "notifications.1",
        "notifications.2.on.0",
    ]
    assert "did you mean channel" in caught.value.lines()[0]


async def test_only_workflow_notify_can_be_sent(tmp_path: Path) -> None:
    """Any other action gives nothing that people could read."""
    notice = Notice(send=True)
    with pytest.raises(InvalidError, match="gives nothing to send"):
        await operator(tmp_path).invoke_action("compression.hash", {"text": "a"}, notice=notice)


def test_letters_of_both_kinds_are_replayed_together(tmp_path: Path, pager: Pager) -> None:
    """Each by whom it is for; a message that nobody replays is left alone by handlers."""
    pager.error = UnavailableError("pager", "away")
    over = NotificationRoute(provider="first")
    sent = asyncio.run(invoke(tmp_path, pager, send=True, override=over))
    assert sent.notification is not None
    letter = sent.notification.outcomes[0].letter
    operator(tmp_path, pager).events.emit("order.created")
    pager.error = None

    both = operator(tmp_path, pager).events.replay()
    (left,) = operator(tmp_path, pager).events.dead_letters().letters

    assert [(each.letter.handler, each.success) for each in both.replays] == [
        ("adapter:messaging@first", True),
        ("sulk", False),
    ]
    assert (both.exit_code, both.replays[0].letter.id, left.handler) == (1, letter, "sulk")
    with pytest.raises(NotFoundError, match="no dead letter"):
        operator(tmp_path, pager).events.replay(letter)


def test_one_letter_is_replayed_by_its_id(tmp_path: Path, pager: Pager) -> None:
    """And no other, whatever kind it is of."""
    pager.error = UnavailableError("pager", "away")
    over = NotificationRoute(provider="first")
    for _ in range(2):
        asyncio.run(invoke(tmp_path, pager, send=True, override=over))
    first, second = operator(tmp_path, pager).events.dead_letters().letters
    pager.error = None

    answer = operator(tmp_path, pager).events.replay(second.id)

    assert (answer.exit_code, len(answer.replays)) == (0, 1)
    assert operator(tmp_path, pager).events.dead_letters().letters == (first,)


async def test_a_message_is_posted_by_a_provider_with_settings(tmp_path: Path) -> None:
    """From the command's own door to a receiver on the network."""
    bodies: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/s3cret", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.selections]\nmessaging = 'webhook'\n"
        "[adapters.provider_settings.webhook]\n"
        f"url = 'http://127.0.0.1:{place.port}/s3cret'\n"
    )
    try:
        answer = await invoke(tmp_path, workflow="plain", send=True)
    finally:
        await runner.cleanup()

    assert answer.exit_code == 0
    assert [(body["data"]["text"], body["data"]["target"]) for body in bodies] == [
        ("Deploy ready", "deploys")
    ]
    assert "s3cret" not in str(answer.as_json())
