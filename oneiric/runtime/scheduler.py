"""Callbacks over HTTP: work that Cloud Tasks, Pub/Sub or anybody else pushes to us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from aiohttp import web

from oneiric.core.logging import get_logger
from oneiric.documents import DocumentLimits
from oneiric.domains.worker import RunMessages
from oneiric.errors import (
    ClosedError,
    ComponentError,
    JSONValue,
    NotFoundError,
    OneiricError,
    PausedError,
    UnavailableError,
)
from oneiric.ports.identity import IDENTITY, Principal
from oneiric.runtime.callers import Callers
from oneiric.runtime.settings import HttpSettings
from oneiric.runtime.task_messages import Delivery, read_delivery, read_event
from oneiric.web.app import application
from oneiric.web.auth import IDENTITY as CALLER
from oneiric.web.errors import error_response, json_response, status_of
from oneiric.web.health import health_routes
from oneiric.web.limits import WebLimits, read_json
from oneiric.web.serve import TCP, Served, served

if TYPE_CHECKING:
    from oneiric.domains.messages import WorkMessage
    from oneiric.runs.run import Run
    from oneiric.runtime.work import Work

GRACE_SECONDS = 10.0
RETRY_SECONDS = 5
PATHS: Mapping[str, str] = MappingProxyType(
    {"/tasks/workflow": "workflow", "/tasks/task": "task", "/events": "event"}
)
"""Each path that takes callbacks, and what is asked for there."""
_EVENT = "application/cloudevents+json"
_PASSING = (ComponentError, PausedError, UnavailableError)


class RunUnderWayError(UnavailableError):
    """A run that was begun and is not over yet: ask again later."""

    code = "run-under-way"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"the run {run_id} is under way", hint=f"oneiric run show {run_id}")
        self.run_id = run_id

    def details(self) -> dict[str, JSONValue]:
        return {"run_id": self.run_id}


class BusyError(UnavailableError):
    """More requests at a time than are taken on, or an end that has begun."""

    code = "busy"


@dataclass(frozen=True, slots=True)
class Callback:
    """What came of a delivery: its run as it is recorded, over or waiting for somebody outside."""

    run: Run

    @property
    def status(self) -> int:
        """200 for what is over, however it ended; 202 for what waits."""
        return 200 if self.run.state.is_over else 202

    @property
    def state(self) -> str:
        """The state of the run, or `waiting`."""
        return str(self.run.state) if self.run.state.is_over else "waiting"

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.callback/1`."""
        run = self.run
        return {
            "schema": "oneiric.callback/1",
            "name": run.plan.name,
            "run_id": run.run_id,
            "state": self.state,
            "error": run.error,
        }


class WorkflowTaskProcessor:
    """Make each delivery one recorded run, however often and to how many processes it comes.

    A run that somebody left is taken up; one that is over is not begun again, even where its
    workflow is paused or gone by now.
    """

    def __init__(self, work: Work) -> None:
        self._messages = RunMessages(work.tasks, work.workflows)
        self._engine = work.engine
        self._resolver = work.runtime.resolver

    async def process(self, message: WorkMessage) -> Callback:
        """Return what came of it, when it is over or waits for somebody outside.

        To stop waiting does not stop the run.

        Raises:
            LockedError: another process works on it.
            UnavailableError: who could do it may not now, or the journal cannot be reached.
            InvalidMessageError: there is a run of that id that does something else.
            OneiricError: it was not begun; `WorkflowBridge.start` tells why.
        """
        try:
            return Callback(await self._messages.process(message))
        except UnavailableError:
            raise
        except OneiricError as error:
            known = await self._over(message)
            if known is not None:
                return Callback(known)
            if isinstance(error, NotFoundError) and self._is_offered(message):
                raise UnavailableError(error.message, hint=error.hint) from error
            raise

    def _is_offered(self, message: WorkMessage) -> bool:
        """Tell whether somebody who may not serve now may do so later."""
        provider = f"@{message.provider}" if message.provider else ""
        decision = self._resolver.explain(f"{message.name}{provider}")
        rejections = [standing.rejection for standing in decision.standings]
        return any(each.reason.passing for each in rejections if each is not None)

    async def _over(self, message: WorkMessage) -> Run | None:
        """Return the run that a message asks for, if it is over."""
        try:
            run = await self._engine.get(message.run_id)
        except NotFoundError:
            return None
        return run if run.plan.name == message.name and run.state.is_over else None


def may_pass(error: OneiricError) -> bool:
    """Tell whether a delivery that met *error* shall come again.

    >>> may_pass(PausedError("workflow:a", "paused")), may_pass(NotFoundError("workflow", "a"))
    (True, False)
    """
    return isinstance(error, UnavailableError | PausedError) or status_of(error) >= 500


class SchedulerHTTPServer:
    """Take callbacks at `POST /tasks/workflow`, `/tasks/task` and `/events`, and tell how we are.

    Use it as `async with`, within the `Work` that does what is asked for. `/healthz` and `/readyz`
    are open to all; the rest, `/metrics` included, to whom `Callers` lets in. While it is not
    ready, or ends, callbacks are asked to come again. At the end those under way get the grace;
    whoever still waits then is told that the run is under way, and it goes on for as long as the
    work does.

    Args:
        work: does it.
        ready: returns what is in the way of taking callbacks; nothing where all is well.
        metrics: returns the text of `/metrics`; without it there is no such path.
        host: the address to listen on instead of the configured one.
        port: the same for the port; 0 for any that is free, as is where none is configured.
        grace: seconds that callbacks under way get at the end.
    """

    def __init__(
        self,
        work: Work,
        *,
        ready: Callable[[], Sequence[str]] = tuple,
        metrics: Callable[[], str] | None = None,
        host: str = "",
        port: int | None = None,
        grace: float = GRACE_SECONDS,
    ) -> None:
        settings = work.runtime.config.section("http")
        assert isinstance(settings, HttpSettings)
        self.processor = WorkflowTaskProcessor(work)
        self._settings = settings
        chosen = settings.port if port is None else port
        self._address = TCP(host or settings.host, chosen or 0)
        self._clock = work.runtime.clock
        self._answered = work.runtime.measures.requested
        self._resolver, self._lifecycle = work.runtime.resolver, work.runtime.lifecycle
        self._callers = Callers(
            self._lifecycle,
            provider=settings.identity,
            host=self._address.host,
            refused=work.runtime.measures.refused,
        )
        self._ready = ready
        self._metrics = metrics
        self._grace = grace
        self._stopping = False
        self._bounds: set[asyncio.Timeout] = set()
        self._reading: dict[asyncio.Timeout, None] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._where: Served | None = None
        self._stack = AsyncExitStack()
        self._log = get_logger("oneiric.http")

    @property
    def where(self) -> Served:
        """The address that it really listens on."""
        assert self._where is not None, "it has not been entered"
        return self._where

    def stop(self) -> None:
        """Take no more callbacks; those under way go on."""
        self._stopping = True

    def hurry(self) -> None:
        """Take no more callbacks, and tell all who wait to come again."""
        self.stop()
        now = asyncio.get_running_loop().time()
        for bound in (*self._bounds, *self._reading):
            if not bound.expired():
                bound.reschedule(now)

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            UnavailableError: the port is in use.
            NoCandidateError: nobody offers the identity that is to be asked.
            ConfigError: its settings are wrong, so that nobody could ever be let in.
            OneiricError: the address cannot be listened on; `served` tells why.
        """
        settings = self._settings
        if settings.identity:
            await self._bring_up(settings.identity)
        app = application(
            [
                *health_routes(ready=self._problems, metrics=self._metrics),
                *(web.post(path, partial(self._answer, kind)) for path, kind in PATHS.items()),
            ],
            limits=WebLimits(
                documents=DocumentLimits(max_bytes=settings.max_body_bytes),
                idle_seconds=settings.idle_seconds,
                body_seconds=settings.body_seconds,
                connections=settings.connections,
            ),
            authenticate=self._callers,
            clock=self._clock,
            answered=self._answered,
        )
        serving = served(app, self._address, grace=1.0)
        self._where = await self._stack.enter_async_context(serving)
        self._log.info("http-serving", url=self._where.url, identity=settings.identity or "none")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._grace):
                    await self._idle.wait()
        finally:
            self.hurry()
            await self._stack.aclose()

    async def _bring_up(self, provider: str) -> None:
        """Bring the identity up, as who serves its place if it does: so it follows its secrets."""
        named = self._resolver.resolve(IDENTITY, provider=provider)
        serves = self._resolver.explain(IDENTITY).winner is named
        with suppress(*_PASSING):  # who asks is told so, until it is up
            await self._lifecycle.activate(IDENTITY if serves else named.offer)

    def _problems(self) -> Sequence[str]:
        return ["it ends"] if self._stopping else list(self._ready())

    async def _answer(self, kind: str, request: web.Request) -> web.Response:
        """Answer a callback, and log it."""
        begun, told = self._clock.monotonic(), dict[str, JSONValue]()
        try:
            callback = await self._bounded(kind, request, told)
        except OneiricError as error:
            response = refusal(error)
            told["code"] = error.code
        else:
            response = json_response(callback.as_json(), status=callback.status)
            told["state"] = callback.state
        told["duration_ms"] = round((self._clock.monotonic() - begun) * 1000, 3)
        tell = self._log.info if response.status < 300 else self._log.warning
        tell("callback-answered", path=request.path, status=response.status, **told)
        return response

    async def _bounded(
        self, kind: str, request: web.Request, told: dict[str, JSONValue]
    ) -> Callback:
        """Do what is asked for, within the limits of number and time; note in *told* what it is.

        A request counts when it is there: bodies that do not come keep nobody out.
        """
        self._check_room()
        delivery: Delivery | None = None
        bound = asyncio.timeout(self._settings.answer_seconds)
        try:
            async with bound:
                with self._arriving(bound):
                    delivery = await self._read(kind, request)
                principal = request[CALLER]
                subject = principal.subject if isinstance(principal, Principal) else ""
                told |= {"run": delivery.message.run_id, "sender": delivery.sender}
                told |= {"name": delivery.name, "attempt": delivery.attempt, "by": subject}
                self._check_room()
                with self._counted(bound):
                    return await self.processor.process(delivery.by(subject))
        except TimeoutError:
            if not bound.expired():
                raise
            if delivery is None:
                raise BusyError("the request was not there in time") from None
            raise RunUnderWayError(delivery.message.run_id) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ClosedError("the run was let go of") from None  # its engine is closed

    def _check_room(self) -> None:
        if problems := self._problems():
            raise BusyError(f"no callback is taken now: {'; '.join(problems)}")
        if len(self._bounds) >= self._settings.concurrency:
            raise BusyError(f"{self._settings.concurrency} callbacks are under way")

    @contextmanager
    def _arriving(self, bound: asyncio.Timeout) -> Iterator[None]:
        """Let a body come, and of as many as are worked on give up the one that takes longest."""
        if len(self._reading) >= self._settings.concurrency:
            longest = next(iter(self._reading))
            del self._reading[longest]
            if not longest.expired():
                longest.reschedule(asyncio.get_running_loop().time())
        self._reading[bound] = None
        try:
            yield
        finally:
            self._reading.pop(bound, None)

    async def _read(self, kind: str, request: web.Request) -> Delivery:
        if kind == "event":
            return read_event(await read_json(request, also=_EVENT), request.headers)
        body = await read_json(request)
        return read_delivery(kind, body, request.headers, clock=self._clock)

    @contextmanager
    def _counted(self, bound: asyncio.Timeout) -> Iterator[None]:
        """Count one more callback for as long as the block lasts."""
        self._bounds.add(bound)
        self._idle.clear()
        try:
            yield
        finally:
            self._bounds.discard(bound)
            if not self._bounds:
                self._idle.set()


def refusal(error: OneiricError) -> web.Response:
    """Return how a callback is told of *error*: 5xx where it shall come again, else 4xx."""
    response = error_response(error)
    if may_pass(error):
        response.set_status(500 if response.status == 500 else 503)
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response
