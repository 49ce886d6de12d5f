"""Tell people how runs of workflows end, and send what their steps notify."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339
from oneiric.core.guard import Outcome, attempt, attempt_async
from oneiric.core.logging import get_logger
from oneiric.core.ref import ComponentRef
from oneiric.domains.workflows.bridge import provider_of
from oneiric.domains.workflows.spec import notifications_of
from oneiric.errors import InvalidError, JSONValue, OneiricError, UnavailableError
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.state import RunState
from oneiric.runtime.notification_answers import NotificationAnswer
from oneiric.runtime.notification_route import TIMED_OUT, NotificationRoute, routes_of
from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.ports import DeadLetter
    from oneiric.runs.context import StepContext
    from oneiric.runs.journal import Journal
    from oneiric.runs.run import Run
    from oneiric.runtime.notifications import NotificationMessage, NotificationOutcome
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

NOTIFIED = "notified"
"""The kind of the notes in a run's journal that tell who was told of its end."""

SEND_SECONDS = 30.0
EVERY_SECONDS = 30.0
LONGEST_REASON = 2_000
MOST_STEPS = 10
_LEVELS: Mapping[str, str] = MappingProxyType({"succeeded": "info", "canceled": "warning"})


@dataclass(frozen=True, slots=True)
class _Message:
    """What one route carries of an end, and the letter that keeps it until it was sent."""

    message: NotificationMessage
    ref: str
    letter: DeadLetter | None = None


class RunNotices:
    """Send what the metadata of a workflow asks for, from whichever process does its runs.

    What a step gives by `workflow.notify` goes by every route; how a run ended goes by those
    that ask for it. Neither changes how a run ends.

    A message about an end is kept before that is recorded, and forgotten when it was sent, so
    that a later process sends what this one could not. Between the two a crash lets a message
    be sent twice, under the same id; a step's too.

    Args:
        runtime: whose routes and messengers are used.
        journal: where the runs are kept.
        find: gives a run that is under way here.
        kept: whether the runs, and so what is owed, outlive the process.
    """

    def __init__(
        self,
        runtime: RuntimeOrchestrator,
        journal: Journal,
        *,
        find: Callable[[str], Run | None],
        kept: bool = True,
    ) -> None:
        self._runtime = runtime
        self._journal = journal
        self._find = find
        self._kept = kept
        self._log = get_logger("oneiric.notifications.runs")

    def wants(self, run: Run, end: str) -> bool:
        """Whether somebody is to be told that *run* ends so."""
        offer = self._offer(run)
        routes = attempt(partial(routes_of, offer)).value if offer is not None else ()
        return any(route.wants(end) for route in routes or ())

    async def step(self, context: StepContext, result: JSONValue) -> JSONValue:
        """Send what a step gave, and return it with what came of that, to be recorded.

        What is done again sends the same messages, with the same ids.

        Raises:
            InvalidMetadataError: every problem with the routes.
            InvalidError, UnavailableError: a message was neither sent nor kept.
        """
        run = self._find(context.run_id)
        offer = self._offer(run) if run is not None else None
        routes = routes_of(offer) if offer is not None else ()
        if offer is None or not routes or not isinstance(result, Mapping):
            return result
        key = offer.ref.key
        outcomes = await self._runtime.notifications.send_all(
            result, routes, workflow=key, key=context.idempotency_key
        )
        for each in outcomes:
            self._tell_log(context.run_id, each)
            if each.code and not each.letter:
                kind = InvalidError if each.code == InvalidError.code else UnavailableError
                raise kind(f"a message was neither sent nor kept: {each.error}")
        answer = NotificationAnswer(key, routes, outcomes, asked=True)
        told: JSONValue = [each.as_json() for each in outcomes]
        return {**result, "notification": {"status": answer.status, "outcomes": told}}

    async def prepare(self, ended: RunEvent) -> list[_Message]:
        """Keep the messages about an end that is about to be recorded, and return them.

        What goes wrong is logged.
        """
        outcome = await attempt_async(self._prepared(ended))
        if outcome.error is not None:
            self._lost(ended.run_id, outcome.error)
        return outcome.value or []

    async def tell(self, run_id: str, messages: Sequence[_Message]) -> None:
        """Send messages about an end that is recorded; what came of each is noted in the run."""
        async with asyncio.TaskGroup() as group:
            for each in messages:
                group.create_task(self._told(run_id, each))

    async def told(self, run_id: str) -> list[JSONValue]:
        """Return who was told of the last end of a run, as its journal has it."""
        found: list[JSONValue] = []
        for event in await self._journal.read(run_id):
            if event.kind is EventKind.RUN_ENDED:
                found = []
            elif event.kind is EventKind.NOTED and event.data.get("kind") == NOTIFIED:
                found.append({name: v for name, v in event.data.items() if name != "kind"})
        return found

    async def recover(self) -> None:
        """Send what other processes still owe about runs that are over; never raise."""
        outcome = await attempt_async(self._recovered())
        if outcome.error is not None:
            self._log.error("notifications-not-recovered", reason=_reason(outcome.error))

    async def run(self) -> None:
        """Send what is owed now, and then at every interval, without end."""
        while True:
            await self.recover()
            await self._runtime.clock.sleep(EVERY_SECONDS)

    async def _prepared(self, ended: RunEvent) -> list[_Message]:
        run, end = self._find(ended.run_id), _end(ended)
        offer = self._offer(run) if run is not None else None
        if run is None or offer is None:
            return []
        wanted = [(n, route) for n, route in enumerate(routes_of(offer)) if route.wants(end)]
        if not wanted:
            return []
        before = await self._journal.read(run.run_id)
        number = sum(event.kind is EventKind.RUN_ENDED for event in before)
        record = _record(run, ended)
        about: Mapping[str, JSONValue] = {"run": run.run_id, "end": end, "round": number}
        found = []
        for n, route in wanted:
            made = await attempt_async(self._made(record, route, offer.ref.key, n, about))
            if made.value is None:
                self._lost(run.run_id, made.error)
            else:
                found.append(made.value)
        return found

    async def _made(
        self,
        record: JSONValue,
        route: NotificationRoute,
        workflow: str,
        place: int,
        about: Mapping[str, JSONValue],
    ) -> _Message:
        router = self._runtime.notifications
        key = f"{about['run']}-{about['round']}-{about['end']}-{place}"
        message = router.message(record, route, workflow=workflow, message_id=key)
        if not self._kept:
            return _Message(message, str(route.ref))
        kept = await attempt_async(router.owe(message, route, about))
        if kept.error is not None:
            self._log.warning("notification-not-kept", message=key, reason=_reason(kept.error))
        return _Message(message, str(route.ref), kept.value)

    async def _told(self, run_id: str, message: _Message) -> None:
        router = self._runtime.notifications
        if message.letter is None:
            sent = await attempt_async(
                router.deliver(message.message, message.ref, limit=SEND_SECONDS)
            )
            await self._heard(run_id, sent)
        else:
            await self._settled(run_id, message.letter)

    async def _settled(self, run_id: str, letter: DeadLetter) -> None:
        settling = self._runtime.notifications.settle(letter, limit=SEND_SECONDS)
        await self._heard(run_id, await attempt_async(settling))

    async def _heard(
        self, run_id: str, sent: Outcome[NotificationOutcome] | Outcome[NotificationOutcome | None]
    ) -> None:
        if sent.error is not None:
            self._lost(run_id, sent.error)
        elif sent.value is not None:
            await self._note(run_id, sent.value)

    async def _note(self, run_id: str, outcome: NotificationOutcome) -> None:
        self._tell_log(run_id, outcome)
        at = rfc3339(self._runtime.clock.now())
        data = {"kind": NOTIFIED, **outcome.as_json()}
        event = RunEvent(run_id, EventKind.NOTED, at, "", data)
        noted = await attempt_async(self._journal.append(run_id, [event]))
        if noted.error is not None:
            self._log.warning("notification-not-noted", run=run_id, reason=_reason(noted.error))

    async def _recovered(self) -> None:
        router = self._runtime.notifications
        ready = []
        for letter in await router.owed():
            run_id, number = str(letter.event.get("run")), letter.event.get("round")
            events = await self._journal.read(run_id)
            ends = [_end(event) for event in events if event.kind is EventKind.RUN_ENDED]
            if not isinstance(number, int) or number >= len(ends):
                continue  # it was kept before the end, and the run goes on
            if ends[number] == letter.event.get("end"):
                ready.append((run_id, letter))
            else:
                await router.drop(letter)
        async with asyncio.TaskGroup() as group:
            for run_id, letter in ready:
                group.create_task(self._settled(run_id, letter))

    def _offer(self, run: Run) -> Candidate | None:
        """Return who brought the workflow of *run*, or who does now, if it declares routes."""
        if not run.plan.name.startswith("workflow:"):
            return None
        ref: ComponentRef[object] = ComponentRef(run.plan.name)
        resolver, provider = self._runtime.resolver, provider_of(run)
        offers = {each.provider: each for each in resolver.registry.offers(ref)}
        found = offers.get(str(provider)) or resolver.explain(ref).winner
        return found if found is not None and notifications_of(found) else None

    def _lost(self, run_id: str, error: BaseException | None) -> None:
        self._log.error("notification-lost", run=run_id, reason=_reason(error))

    def _tell_log(self, run_id: str, outcome: NotificationOutcome) -> None:
        told = {"run": run_id, "ref": outcome.ref, "target": outcome.target}
        if outcome.success:
            self._log.info("notification-sent", **told, message_id=outcome.message_id)
        else:
            kept = {"code": outcome.code, "reason": outcome.error, "letter": outcome.letter}
            self._log.error("notification-not-sent", **told, **kept)


def _end(ended: RunEvent) -> str:
    """Return how a run ended: its state, or `timed-out` where that is why it failed."""
    state, error = str(ended.data["state"]), ended.data.get("error")
    is_late = isinstance(error, Mapping) and error.get("code") == "timeout"
    return TIMED_OUT if is_late and state == RunState.FAILED else state


def _record(run: Run, ended: RunEvent) -> JSONValue:
    """Return how a run ended as `workflow.notify` would have given it, its secrets masked."""
    end, error = _end(ended), ended.data.get("error")
    why = error if isinstance(error, Mapping) else {}
    failed = why.get("failed")
    reason = str(redacted(str(why.get("message") or "")))[:LONGEST_REASON]
    context: dict[str, JSONValue] = {
        "run": run.run_id,
        "state": str(ended.data["state"]),
        "began": run.created_at,
        "ended": ended.at,
    }
    if isinstance(failed, Mapping) and failed:
        context["failed_steps"] = list(failed)[:MOST_STEPS]
    told = f"{run.plan.name} {end.replace('-', ' ')}{f': {reason}' if reason else ''}"
    return {"message": told, "level": _LEVELS.get(end, "error"), "context": context}


def _reason(error: BaseException | None) -> str:
    return error.message if isinstance(error, OneiricError) else f"{type(error).__name__}: {error}"
