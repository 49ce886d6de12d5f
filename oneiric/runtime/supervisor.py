"""Keep services up: start them, probe them, restart what fails, and give up loudly."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from oneiric.core.activity import ActivityState
from oneiric.core.generation import LifecycleState
from oneiric.core.guard import Guard, attempt, attempt_async
from oneiric.core.ref import ComponentRef
from oneiric.errors import ClosedError, ComponentError, NotFoundError, OneiricError
from oneiric.runtime.lifecycle_log import (
    log_listener_failed,
    log_service,
    log_supervisor_failed,
)
from oneiric.runtime.reloads import settings_of
from oneiric.runtime.settings import SupervisorSettings
from oneiric.runtime.supervision import (
    NoticeKind,
    ServiceNotice,
    ServiceState,
    ServiceSupervision,
    SupervisorStatus,
    Watched,
)

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.status import ComponentStatus
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

DOMAIN = "service"
_BEHIND = 1_000
_DOWN = frozenset({ServiceState.WAITING, ServiceState.STARTING, ServiceState.IDLE})

Listener: TypeAlias = Callable[[ServiceNotice], object]
_Act: TypeAlias = Callable[[Watched], Awaitable[None]]


class ServiceSupervisor:
    """Look after the services of a runtime, for as long as `run` is awaited.

    Each service that is offered is started, with what it requires, and probed. One that does
    not start, or whose probes fail too often in a row, is restarted: a new instance, up before
    the old one goes, after a wait that grows. More restarts within a window than its policy
    allows, and it is given up: an error is logged, listeners are told, the status says so. It
    is tried again when somebody resets or resumes it, when somebody else brings another
    instance up, or when the configuration or the offers change what it is made from.

    What is paused or draining is left alone. Quarantine and failover of the lifecycle stay in
    force: while another provider serves there is nothing to restart, and while nobody may
    serve, no restart is tried or counted.
    """

    def __init__(self, runtime: RuntimeOrchestrator) -> None:
        settings = runtime.config.section("runtime_supervisor")
        assert isinstance(settings, SupervisorSettings)
        self._runtime = runtime
        self._settings = settings
        self._clock = runtime.clock
        self._guard = Guard()
        self._watched: dict[ComponentRef[object], Watched] = {}
        self._listeners: dict[_Ear, None] = {}
        self._group: asyncio.TaskGroup | None = None
        self.problem = ""
        """What went wrong in the supervisor itself at its last look, or an empty text."""

    async def run(self) -> None:
        """Look after the services, without end; cancel it to stop, and no task of it is left.

        A restart that is under way then ends in order, as every swap does. With
        `[runtime_supervisor] enabled = false` nothing is done.

        Raises:
            RuntimeError: it runs already.
        """
        if self._group is not None:
            raise RuntimeError("this supervisor runs already")
        for watched in self._watched.values():
            watched.is_busy = watched.is_seen = False
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for ear in self._listeners:
                    ear.is_busy = False
                while True:
                    if self._settings.enabled:
                        self._look_once(group)
                    await self._clock.sleep(self._settings.poll_interval)
        finally:
            self._group = None

    def listen(self, callback: Listener) -> Callable[[], None]:
        """Tell *callback* what happens to services from now on; return its removal.

        It is called with a `ServiceNotice`, in order, while `run` is awaited; a coroutine is
        awaited, and what is no coroutine function is called in a thread. Each call has the
        limit of hooks. What it raises is logged and hurts nobody; one that is far behind loses
        the oldest notices.
        """
        ear = _Ear(callback)
        self._listeners[ear] = None
        return lambda: self._listeners.pop(ear, None)

    def status(self) -> SupervisorStatus:
        """Return how the supervisor and every service stand now."""
        self._meet()
        offered = {ref.key for ref in self._watched}
        return SupervisorStatus(
            enabled=self._settings.enabled,
            running=self._group is not None,
            poll_interval=self._settings.poll_interval,
            services=tuple(self._supervision(each) for each in self._watched.values()),
            unknown=tuple(sorted(self._settings.services.keys() - offered)),
            problem=self.problem,
        )

    def reset(self, ref: str) -> ServiceSupervision:
        """Forget the restarts of a service; one that was given up is looked after again.

        Raises:
            NotFoundError: nobody offers such a service.
        """
        self._meet()
        named: ComponentRef[object] = ComponentRef(ComponentRef[object](ref).place)
        watched = self._watched.get(named)
        if watched is None:
            raise NotFoundError("service", named, known=self._watched)
        watched.restarts.forget()
        if watched.state is ServiceState.GIVEN_UP:
            watched.settle(self._runtime.lifecycle.status(named).generation, self._now)
        return self._supervision(watched)

    # -- looking ------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return self._clock.monotonic()

    def _look_once(self, group: asyncio.TaskGroup) -> None:
        try:
            problems = [each for each in self._look(group) if each]
        except Exception as error:  # noqa: BLE001  services are looked after, whatever is wrong
            problems = [f"{type(error).__name__}: {error}"]
        problem = "; ".join(problems)
        if problem and problem != self.problem:
            log_supervisor_failed(problem)
        self.problem = problem

    def _look(self, group: asyncio.TaskGroup) -> Iterator[str]:
        """Begin what is due, and yield what went wrong with each service."""
        self._meet()
        for watched in self._watched.values():
            if not watched.is_busy:
                outcome = attempt(partial(self._look_at, watched, group))
                yield outcome.reason and f"{watched.ref}: {outcome.reason}"

    def _meet(self) -> None:
        """Watch what is offered by now, and no more what is not."""
        offered = self._runtime.resolver.registry.refs(DOMAIN)
        known = self._watched
        if list(known) != offered:
            self._watched = {
                ref: known.get(ref) or Watched(ref, self._settings.policy_of(ref.key))
                for ref in offered
            }

    def _look_at(self, watched: Watched, group: asyncio.TaskGroup) -> None:
        act = self._next_act(watched) if self._takes_work(watched) else None
        if act is not None:
            watched.is_busy = True
            group.create_task(self._tend(watched, act), name=f"supervise {watched.ref}")

    def _takes_work(self, watched: Watched) -> bool:
        """Take note of what others did to a service; tell whether it is to be looked after."""
        status = self._runtime.lifecycle.status(watched.ref)
        if status.state is LifecycleState.CLOSED:
            return False
        if status.activity.state is not ActivityState.ACTIVE:
            self._hold_off(watched, status)
            return False
        before, generation = watched.state, status.generation
        if before in (ServiceState.PAUSED, ServiceState.DRAINING):
            watched.restarts.forget()
            watched.settle(generation, self._now)
            self._tell(watched, NoticeKind.RESUMED)
        elif before is ServiceState.GIVEN_UP:
            self._reconsider(watched, generation)
        elif generation != watched.generation or not watched.is_seen:
            self._changed(watched, generation)
        watched.is_seen = True
        return True

    def _hold_off(self, watched: Watched, status: ComponentStatus) -> None:
        state = ServiceState(status.activity.state)
        watched.generation, watched.due = status.generation, None
        if watched.state is not state:
            watched.move(state)
            self._tell(watched, NoticeKind(state), reason=str(status.activity))

    def _changed(self, watched: Watched, generation: int) -> None:
        """Take a service as others left it: brought up, swapped, or taken down."""
        before, was = watched.state, watched.generation
        interrupted = before in (ServiceState.STARTING, ServiceState.RESTARTING)
        if generation == was and before is not ServiceState.IDLE and not interrupted:
            return
        watched.settle(generation, self._now)
        if generation and before in _DOWN:
            self._tell(watched, NoticeKind.STARTED)
        elif generation and before is ServiceState.UNHEALTHY:
            self._tell(watched, NoticeKind.RECOVERED, reason="another instance serves")

    def _reconsider(self, watched: Watched, generation: int) -> None:
        """Look after a given-up service again if something about it is new."""
        if self._standing(watched.ref) != watched.standing:
            watched.restarts.forget()
            watched.settle(generation, self._now)
        elif generation not in (0, watched.generation):
            watched.settle(generation, self._now)
            self._tell(watched, NoticeKind.RECOVERED, reason="another instance serves")
        else:
            watched.generation = generation

    def _next_act(self, watched: Watched) -> _Act | None:
        now = self._now
        if watched.due is not None and watched.due <= now:
            watched.waits_for = self._hindrance(watched)
            if not watched.waits_for:
                return self._start if watched.is_fresh else self._restart
        if watched.generation and watched.probe_at <= now:
            return self._probe
        return None

    def _hindrance(self, watched: Watched) -> str:
        """Return why a service cannot be brought up well now, or an empty text."""
        problem = self._runtime.resolver.explain(watched.ref).problem
        if problem is not None:
            return problem.message
        return "" if watched.is_fresh else self._held_up(watched)

    def _held_up(self, watched: Watched) -> str:
        """Return what a service requires and who holds it off, or an empty text."""
        board = self._runtime.lifecycle.activity
        for ref in self._required(watched.ref, {watched.ref: None}):
            activity = board.get(ref)
            if activity.state is not ActivityState.ACTIVE:
                return f"{ref}, which it requires, is {activity}"
        return ""

    # -- acting -------------------------------------------------------------------------

    async def _tend(self, watched: Watched, act: _Act) -> None:
        try:
            outcome = await attempt_async(act(watched))
            if outcome.error is not None and not isinstance(outcome.error, ClosedError):
                log_supervisor_failed(f"{watched.ref}: {outcome.reason}")
                watched.is_seen = False
        finally:
            watched.is_busy = False

    async def _start(self, watched: Watched) -> None:
        watched.move(ServiceState.STARTING)
        await self._bring_up(watched, NoticeKind.STARTED)

    async def _restart(self, watched: Watched) -> None:
        status = self._runtime.lifecycle.status(watched.ref)
        if status.activity.state is not ActivityState.ACTIVE:
            return  # it was paused since it was looked at
        watched.due = None
        watched.restarts.note(self._now)
        self._runtime.measures.restarted(watched.ref)
        watched.move(ServiceState.RESTARTING)
        self._tell(watched, NoticeKind.RESTARTING, reason=watched.reason)
        if not status.generation:
            await self._bring_up(watched, NoticeKind.RESTARTED)
            return
        outcome = await attempt_async(self._runtime.lifecycle.swap(watched.ref))
        error = outcome.error or (outcome.value.error if outcome.value else None)
        self._brought_up(watched, error, NoticeKind.RESTARTED)

    async def _bring_up(self, watched: Watched, kind: NoticeKind) -> None:
        """Activate a service that is down, after what it requires, as far as that comes up."""
        lifecycle = self._runtime.lifecycle
        for ref in self._required(watched.ref, {watched.ref: None}):
            await attempt_async(lifecycle.activate(ref))
        outcome = await attempt_async(lifecycle.activate(watched.ref))
        self._brought_up(watched, outcome.error, kind)

    def _required(
        self, ref: ComponentRef[object], seen: dict[ComponentRef[object], None]
    ) -> list[ComponentRef[object]]:
        """Return what a component requires, directly or not, in the order to bring it up."""
        winner = self._runtime.resolver.explain(ref).winner
        found: list[ComponentRef[object]] = []
        for needed in winner.requires.values() if winner else ():
            if needed not in seen:
                seen[needed] = None
                found += [*self._required(needed, seen), needed]
        return found

    def _brought_up(self, watched: Watched, error: BaseException | None, kind: NoticeKind) -> None:
        """Take note of how a start or a restart ended."""
        status, now = self._runtime.lifecycle.status(watched.ref), self._now
        if status.state is LifecycleState.CLOSED:
            return
        if error is None and status.generation:
            watched.settle(status.generation, now)
            watched.probe_at = now + watched.policy.probe_interval
            self._tell(watched, kind)
        elif status.activity.state is not ActivityState.ACTIVE:
            watched.settle(status.generation, now)  # held off at the next look
        else:
            watched.generation = status.generation
            self._failed(watched, _told(error) if error else "it went down at once")

    def _failed(self, watched: Watched, reason: str) -> None:
        """Restart a service later, or give it up."""
        now = self._now
        watched.reason, watched.is_fresh = reason, False
        delay = watched.restarts.delay(now)
        if delay is not None:
            watched.due = now + delay
            if watched.state is not ServiceState.UNHEALTHY:
                up = watched.generation
                watched.move(ServiceState.UNHEALTHY if up else ServiceState.WAITING)
            return
        watched.due = None
        watched.move(ServiceState.GIVEN_UP)
        watched.standing = self._standing(watched.ref)
        self._tell(watched, NoticeKind.GAVE_UP, reason=reason)

    async def _probe(self, watched: Watched) -> None:
        lifecycle = self._runtime.lifecycle
        report = await lifecycle.probe(watched.ref)
        status = lifecycle.status(watched.ref)
        watched.probe_at = self._now + watched.policy.probe_interval
        is_active = status.activity.state is ActivityState.ACTIVE
        if not is_active or status.generation != watched.generation:
            return  # it was paused, or another instance serves: that is for the next look
        if report.healthy:
            self._passed(watched)
            return
        if self._held_up(watched):
            return
        watched.failed_probes += 1
        if watched.state is ServiceState.GIVEN_UP:
            return
        watched.reason = report.detail
        if watched.state is ServiceState.SERVING:
            watched.move(ServiceState.UNHEALTHY)
            self._tell(watched, NoticeKind.UNHEALTHY, reason=report.detail)
        if watched.failed_probes >= watched.policy.unhealthy_after and watched.due is None:
            self._failed(watched, report.detail)

    def _passed(self, watched: Watched) -> None:
        if watched.state is ServiceState.UNHEALTHY:
            watched.settle(watched.generation, self._now)
            watched.probe_at += watched.policy.probe_interval
            self._tell(watched, NoticeKind.RECOVERED)
        watched.failed_probes = 0

    # -- telling ------------------------------------------------------------------------

    def _standing(self, ref: ComponentRef[object]) -> tuple[object, ...]:
        """Return all that is said about a service and what it requires, quarantine aside."""
        runtime = self._runtime
        rules, registry = runtime.resolver.rules, runtime.resolver.registry
        found: list[object] = [rules.stacks]
        seen: dict[str, None] = {}
        left = [str(ref.place)]
        while left:
            place = left.pop()
            if place in seen:
                continue
            seen[place] = None
            offers: tuple[Candidate, ...] = registry.offers(place)
            found.append((place, rules.chosen(place), offers))
            found += [settings_of(runtime.config, offer) for offer in offers]
            left += [str(need.place) for offer in offers for need in offer.requires.values()]
        return tuple(found)

    def _supervision(self, watched: Watched) -> ServiceSupervision:
        status, state = self._runtime.lifecycle.status(watched.ref), watched.state
        if status.activity.state is not ActivityState.ACTIVE:
            state = ServiceState(status.activity.state)
        due = watched.due
        if state in (ServiceState.PAUSED, ServiceState.DRAINING):
            due = None
        wait = None if due is None else timedelta(seconds=max(due - self._now, 0.0))
        return ServiceSupervision(
            ref=str(watched.ref),
            state=state,
            provider=status.provider,
            generation=status.generation,
            policy=watched.policy,
            restarts=watched.restarts.count(self._now),
            failed_probes=watched.failed_probes,
            reason=watched.reason,
            waits_for=watched.waits_for if wait is not None else "",
            next_attempt_at=None if wait is None else self._clock.now() + wait,
        )

    def _tell(self, watched: Watched, kind: NoticeKind, *, reason: str = "") -> None:
        """Log it, and have every listener told."""
        status = self._runtime.lifecycle.status(watched.ref)
        notice = ServiceNotice(
            kind=kind,
            ref=str(watched.ref),
            at=self._clock.now(),
            provider=status.provider,
            generation=status.generation,
            restarts=watched.restarts.count(self._now),
            reason=reason,
        )
        log_service(watched.ref, notice)
        for ear in tuple(self._listeners):
            if len(ear.pending) == _BEHIND:
                log_listener_failed(ear.name, f"it is {_BEHIND} notices behind")
            ear.pending.append(notice)
            if self._group is not None and not ear.is_busy:
                ear.is_busy = True
                self._group.create_task(self._deliver(ear), name=f"tell {ear.name}")

    async def _deliver(self, ear: _Ear) -> None:
        limit = self._runtime.lifecycle.builder.limits.hook
        try:
            while ear.pending and ear in self._listeners:
                call = partial(ear.callback, ear.pending.popleft())
                outcome = await self._guard.call(call, limit=limit, blocking=True)
                if outcome.error is not None:
                    log_listener_failed(ear.name, outcome.reason)
        finally:
            ear.is_busy = False


class _Ear:
    """A listener, and what it has yet to be told."""

    def __init__(self, callback: Listener) -> None:
        self.callback = callback
        self.name = str(getattr(callback, "__qualname__", type(callback).__name__))
        self.pending: deque[ServiceNotice] = deque(maxlen=_BEHIND)
        self.is_busy = False


def _told(error: BaseException) -> str:
    """Return what was wrong, in one line that may be shown."""
    if isinstance(error, ComponentError):
        return f"{error.phase}: {error.reason}"
    if isinstance(error, OneiricError):
        return error.message
    return f"{type(error).__name__}: {error}"
