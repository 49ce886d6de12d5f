"""Make, check and end one instance of a component."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from oneiric.clock import Clock
from oneiric.core.generation import Generation, LifecycleState
from oneiric.core.guard import Dispose, Guard, Outcome, Work, attempt
from oneiric.core.health import HealthReport
from oneiric.core.observer import Observer
from oneiric.core.residence import Residence
from oneiric.documents.model import validate_settings
from oneiric.errors import ComponentError, OneiricError
from oneiric.targets import is_loaded, load

if TYPE_CHECKING:
    from pydantic import BaseModel

    from oneiric.core.candidate import Candidate
    from oneiric.core.handle import Link
    from oneiric.core.ref import ComponentRef

ENDS = ("cleanup", "aclose", "close")


class SettingsSource(Protocol):
    """Where components find their settings."""

    def settings_for(
        self, candidate: Candidate, model: type[BaseModel]
    ) -> BaseModel | Awaitable[BaseModel]:
        """Return *candidate*'s settings, checked by *model*, or what gives them when awaited.

        Raises:
            ConfigError: a setting is wrong; names the key and where it was written.
        """


class DefaultSettings:
    """Give every component the defaults of its settings model."""

    def settings_for(self, candidate: Candidate, model: type[BaseModel]) -> BaseModel:
        """Return the defaults; a model that requires a value raises `ConfigError`."""
        return validate_settings(model, {}, key=candidate.offer, origin_of="default of {}".format)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseLimits:
    """How many seconds each phase may take; `probation` is how long a new one is watched."""

    create: float = 30.0
    init: float = 30.0
    health: float = 5.0
    hook: float = 5.0
    drain: float = 30.0
    cleanup: float = 10.0
    probation: float = 0.0


@dataclass(kw_only=True, slots=True, eq=False)
class Builder:
    """Bring instances up and down through the guard, phase by phase.

    Up: load the factory, check the settings, create, `init`, health. Down: `cleanup`, or
    `aclose`, or `close`. A component without `init` that is an async context manager is
    entered and left instead, and what it yields serves.
    """

    limits: PhaseLimits
    settings: SettingsSource
    allowed: tuple[str, ...]
    link: Callable[[ComponentRef[Any]], Link[Any]]
    clock: Clock
    observer: Observer
    guard: Guard = field(default_factory=Guard)

    async def build(self, candidate: Candidate, number: int) -> Generation[Any]:
        """Make an instance and see it healthy; a failure leaves nothing behind.

        Raises:
            ComponentError: a phase failed or took too long; names the phase.
            ForbiddenFactoryError: the factory may not be loaded.
            ConfigError: the settings are wrong.
        """
        generation: Generation[Any] = Generation(candidate, number, asyncio.get_running_loop())
        started = self.clock.monotonic()
        try:
            made = await self._create(generation)
            await self._init(generation, made)
            report = await self.check(generation)
            if not report.healthy:
                raise candidate.failure("health", report.detail)
        except BaseException as error:
            generation.move(LifecycleState.FAILED)
            ending = self.guard.keep(self.end(generation))
            await asyncio.wait({ending})
            if failed := ending.result():
                error.add_note(str(failed))
            if isinstance(error, OneiricError):
                self.observer.failed(candidate, error, self.ms_since(started))
            raise
        generation.move(LifecycleState.READY)
        self.observer.activated(generation, self.ms_since(started))
        return generation

    def ms_since(self, started: float) -> float:
        """Return the milliseconds since the clock's monotonic time was *started*."""
        return (self.clock.monotonic() - started) * 1000

    async def check(self, generation: Generation[Any]) -> HealthReport:
        """Ask the candidate's health check and the instance's own; both must be content."""
        candidate, residence = generation.candidate, generation.residence
        if residence is not None and residence.has_ended:
            return HealthReport(healthy=False, detail="its context manager ended by itself")
        checks: list[Work] = []
        if candidate.health is not None:
            try:
                probe = await self._loaded(candidate, candidate.health)
            except OneiricError as error:
                return HealthReport(healthy=False, detail=error.message)
            checks.append(partial(probe, generation.instance))
        if own := _method(generation.instance, "health"):
            checks.append(own)
        report = HealthReport(healthy=True)
        for check in checks:
            outcome = await self._call(candidate, check, self.limits.health)
            if outcome.error is not None:
                return HealthReport(healthy=False, detail=outcome.reason)
            report = HealthReport.of(outcome.value)
            if not report.healthy:
                break
        return report

    async def phase(self, generation: Generation[Any], name: str) -> ComponentError | None:
        """Call the instance's `pause` or `resume`, if it has one, and return what failed."""
        method = _method(generation.instance, name)
        if method is None:
            return None
        outcome = await self._call(generation.candidate, method, self.limits.hook)
        return _failed(generation.candidate, name, outcome)

    async def end(self, generation: Generation[Any]) -> ComponentError | None:
        """Clean the instance up, once, and return what failed."""
        end, generation.end = generation.end, None
        generation.move(LifecycleState.CLOSED)
        if end is None:
            return None
        outcome = await self._call(generation.candidate, end, self.limits.cleanup)
        return _failed(generation.candidate, "cleanup", outcome)

    async def _create(self, generation: Generation[Any]) -> object:
        candidate = generation.candidate
        factory = await self._loaded(candidate, candidate.factory)
        arguments: list[object] = []
        if candidate.settings_model is not None:
            model = await self._loaded(candidate, candidate.settings_model)
            read = partial(self.settings.settings_for, candidate, model)
            arguments.append(await self._prepared(candidate, read, blocking=candidate.blocking))
        links = {name: self.link(ref) for name, ref in candidate.requires.items()}
        make = partial(factory, *arguments, **links)
        dispose = partial(self._dispose, candidate)
        outcome = await self._call(candidate, make, self.limits.create, dispose=dispose)
        made = generation.instance = _instance(candidate, "create", outcome)
        if _is_context(made):
            residence = generation.residence = Residence(made, self.guard)
            generation.end = residence.leave
        else:
            generation.end = _end_of(made)
        return made

    async def _init(self, generation: Generation[Any], made: object) -> None:
        candidate, limit = generation.candidate, self.limits.init
        if generation.residence is not None:
            outcome = await self._call(candidate, generation.residence.enter, limit)
            generation.instance = _instance(candidate, "init", outcome)
        elif init := _method(made, "init"):
            _checked(candidate, "init", await self._call(candidate, init, limit))

    async def _loaded(self, candidate: Candidate, target: Any) -> Any:
        """Import what text names, in a thread when that may take long."""
        if not isinstance(target, str):
            return target
        find = partial(load, target, self.allowed)
        return await self._prepared(candidate, find, blocking=not is_loaded(target))

    async def _prepared(self, candidate: Candidate, find: Work, *, blocking: bool) -> object:
        """Return what creation needs; an error of our own is raised as it is."""
        outcome = await self.guard.call(find, limit=self.limits.create, blocking=blocking)
        if isinstance(outcome.error, OneiricError):
            raise outcome.error
        return _checked(candidate, "create", outcome)

    async def _call(
        self, candidate: Candidate, work: Work, limit: float, *, dispose: Dispose | None = None
    ) -> Outcome[object]:
        blocking = candidate.blocking
        return await self.guard.call(work, limit=limit, blocking=blocking, dispose=dispose)

    def _dispose(self, candidate: Candidate, late: object) -> asyncio.Task[object] | None:
        """Clean up an instance that arrived after its factory was given up."""
        end, limit = _end_of(late), self.limits.cleanup
        return None if end is None else self.guard.keep(self._call(candidate, end, limit))


def _method(instance: object, name: str) -> Callable[[], Any] | None:
    """Return a phase of *instance*; one that cannot be looked at fails when it is called.

    An object that answers to any name has none of them.
    """
    own = getattr(instance, "__dict__", None)
    if not hasattr(type(instance), name) and not (isinstance(own, dict) and name in own):
        return None
    found = attempt(partial(getattr, instance, name))
    if found.error is not None:
        return partial(_fail, found.error)
    return found.value if callable(found.value) else None


def _fail(error: BaseException) -> None:
    raise error


def _is_context(made: object) -> TypeGuard[AbstractAsyncContextManager[object]]:
    """Tell whether *made* is to be entered: a context manager that has no `init`."""
    has = partial(hasattr, type(made))
    return has("__aenter__") and has("__aexit__") and _method(made, "init") is None


def _end_of(made: object) -> Callable[[], Any] | None:
    """Return how *made* is ended, or None when it needs no end."""
    methods = (_method(made, name) for name in ENDS)
    return next((method for method in methods if method is not None), None)


def _instance(candidate: Candidate, phase: str, outcome: Outcome[object]) -> object:
    value = _checked(candidate, phase, outcome)
    if value is None:
        raise candidate.failure(phase, "it gave None, not an instance")
    return value


def _checked(candidate: Candidate, phase: str, outcome: Outcome[object]) -> object:
    if failed := _failed(candidate, phase, outcome):
        raise failed
    return outcome.value


def _failed(candidate: Candidate, phase: str, outcome: Outcome[object]) -> ComponentError | None:
    if outcome.error is None:
        return None
    return candidate.failure(phase, outcome.reason, outcome.error)
