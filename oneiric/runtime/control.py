"""The control interface of the orchestrator that runs: its verbs on a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from oneiric.clock import rfc3339
from oneiric.documents import DocumentLimits
from oneiric.files import own_folder
from oneiric.runtime.control_verbs import DONE, Control
from oneiric.web.app import application
from oneiric.web.control.server import BEAT_SECONDS, control_routes
from oneiric.web.limits import WebLimits
from oneiric.web.serve import GRACE_SECONDS, Unix, served

if TYPE_CHECKING:
    from oneiric.runtime.answer import Answer
    from oneiric.runtime.health import RuntimeHealthSnapshot
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.work import Work
    from oneiric.web.control.protocol import Verb

LIMITS = WebLimits(documents=DocumentLimits(max_bytes=17 << 20))
"""What the payload of an action may have on the command line, and a little more."""


class ControlServer:
    """Answer for commands of other processes, at `.oneiric_cache/control.sock`, as one is entered.

    Args:
        runtime: who is asked; it has been entered.
        work: who runs workflows, entered as well; without it none are run.
        ready: tells what is in the way of being ready, and nothing where all is well.
        stop: called when the orchestrator is to end.
        follow: called before the configuration is read anew: whoever has what is up follow it
            begins by now.
        standing: tells how all of it stands; without it nobody knows.
        grace: seconds for what is under way when the server ends.
        beat: how often a client that waits hears that it is being worked at.
    """

    def __init__(
        self,
        runtime: RuntimeOrchestrator,
        work: Work | None = None,
        *,
        ready: Callable[[], Sequence[str]] = tuple,
        stop: Callable[[], object] = bool,
        follow: Callable[[], object] = bool,
        standing: Callable[[], Awaitable[RuntimeHealthSnapshot]] | None = None,
        grace: float = GRACE_SECONDS,
        beat: float = BEAT_SECONDS,
    ) -> None:
        self.path = runtime.paths.control
        since = rfc3339(runtime.clock.now())
        self._control = Control(runtime, work, ready, stop, follow, since, standing)
        self._grace = grace
        self._beat = beat
        self._under_way: set[asyncio.Task[Any]] = set()
        self._stack = AsyncExitStack()

    def hurry(self) -> None:
        """Let go at once of what is under way."""
        for task in self._under_way:
            task.cancel()

    async def __aenter__(self) -> Self:
        """Return the server, which is asked from now on.

        Raises:
            LockedError: another process is asked there.
            InvalidPathError, UnavailableError: it cannot be served there.
        """
        runtime = self._control.runtime
        routes = control_routes(self._ask, beat=self._beat)
        answered = runtime.measures.requested
        app = application(routes, limits=LIMITS, clock=runtime.clock, answered=answered)
        own_folder(self.path.parent)
        await self._stack.enter_async_context(served(app, Unix(self.path), grace=self._grace))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def _ask(self, verb: Verb, asks: Any) -> Answer:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            return await DONE[verb.name](self._control, asks)
        finally:
            self._under_way.discard(task)
