"""Components do the work of steps: tasks and actions, held while they do it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from oneiric.core.candidate import SourceKind
from oneiric.core.decision import Decision, Reason
from oneiric.core.guard import attempt
from oneiric.core.logging import get_logger
from oneiric.core.ref import ComponentRef
from oneiric.documents import digest
from oneiric.domains.events.event import Event
from oneiric.domains.events.runs import DISPATCH
from oneiric.errors import (
    ComponentError,
    InvalidRefError,
    JSONValue,
    NoCandidateError,
    PausedError,
    UnavailableError,
    UnknownSelectionError,
    nearest,
)
from oneiric.runs.body import Bodies, Body, Given, Provenance
from oneiric.text.tracing import DOING, Doing, above

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.handle import Handle
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.domains.actions import ActionBridge
    from oneiric.domains.events import EventBridge
    from oneiric.runs.context import StepContext

DOMAINS = ("task", "action")
"""The domains whose components can do the work of a step."""

Then: TypeAlias = "Callable[[StepContext, JSONValue], Awaitable[JSONValue]]"
"""What is done with the result of an action's step; returns what is recorded."""

_NOTHING: Mapping[str, Then] = MappingProxyType({})
_NOBODY = Provenance()
_MOST_KEPT = 10_000


class ComponentBodies(Bodies):
    """Let components do the work of the steps whose targets name them.

    `task:KEY` is done by the component's `run(payload)`, sync or async; where that takes a
    `context`, it gets the step's. `action:KEY` is done by `execute`, checked as
    `ActionBridge.execute` does. Either may name one offer, `task:KEY@provider`. Sync code of
    an offer that is `blocking` runs in a thread. The component is held from before the step
    begins until it has ended.

    Args:
        lifecycle: who brings the components up.
        actions: how actions are executed.
        then: what is done with the results of some actions before they are recorded, by key.
        events: returns whose handlers are told of the events that runs of `event:dispatch` carry.
    """

    def __init__(
        self,
        lifecycle: LifecycleManager,
        actions: ActionBridge,
        *,
        then: Mapping[str, Then] = _NOTHING,
        events: Callable[[], EventBridge] | None = None,
    ) -> None:
        self.lifecycle = lifecycle
        self.actions = actions
        self.then = then
        self._dispatch = _EventBody(events) if events is not None else None
        self._digests: dict[tuple[str, Candidate], str] = {}
        self._problems: dict[str, str] = {}
        self._shapes: dict[object, tuple[bool, bool]] = {}
        self._generation = -1
        self._log = get_logger(__name__)
        self._waited: dict[str, str] = {}

    def problem(self, target: str) -> str:
        if target == DISPATCH and self._dispatch is not None:
            return ""
        self._follow_rules()
        found = self._problems.get(target)
        if found is None:
            found = self._problem(target)
            if len(self._problems) < _MOST_KEPT:
                self._problems[target] = found
        return found

    def _problem(self, target: str) -> str:
        try:
            ref: ComponentRef[Any] = ComponentRef(target)
        except InvalidRefError as error:
            return f"{error.message}{f'; {error.hint}' if error.hint else ''}"
        if ref.domain not in DOMAINS:
            return f"{target} is no task and no action, so it cannot do a step"
        resolver = self.lifecycle.resolver
        with suppress(NoCandidateError, UnknownSelectionError):
            resolver.resolve(ref)  # which remembers; most plans name one place many times
            return ""
        if not resolver.registry.offers(ref.place):
            close = nearest(ref.place, [str(each) for each in self._places()])
            return f"nobody offers {ref.place}{f'; did you mean {close}?' if close else ''}"
        decision = resolver.explain(ref)
        if decision.problem is None or _may_pass(decision):
            return ""
        hint = decision.problem.hint
        return f"{decision.problem.message}{f'; {hint}' if hint else ''}"

    def open(self, target: str) -> AbstractAsyncContextManager[Body]:
        if target == DISPATCH and self._dispatch is not None:
            return nullcontext(self._dispatch)
        return _Opened(self, ComponentRef(target))

    def decision_digest(self, target: str, candidate: Candidate) -> str:
        """Return the digest of the decision that chose *candidate* for *target*.

        Where somebody else would be chosen by now, it is that of asking for this offer.
        """
        self._follow_rules()
        found = self._digests.get((target, candidate), "")
        if not found:
            resolver = self.lifecycle.resolver
            decision = resolver.explain(target)
            if decision.winner != candidate:
                decision = resolver.explain(candidate.offer)
            found = self._digests[target, candidate] = decision_digest(decision)
        return found

    def shape(self, run: Callable[..., object]) -> tuple[bool, bool]:
        """Tell whether *run* is async, and whether it takes a context; of a class asked once."""
        function = getattr(run, "__func__", None)
        found = self._shapes.get(function)
        if found is None:
            found = inspect.iscoroutinefunction(run), _takes_context(run)
            if function is not None and len(self._shapes) < _MOST_KEPT:
                self._shapes[function] = found
        return found

    def waits(self, ref: str, error: PausedError) -> None:
        """Log that a step waits for a component that takes no work, once until that changes."""
        if self._waited.get(ref) != error.message:
            self._waited[ref] = error.message
            self._log.warning("step-waits", ref=ref, reason=error.message)

    def _follow_rules(self) -> None:
        """Forget what was found out before the last change of offers or rules."""
        generation = self.lifecycle.resolver.registry.generation
        if generation != self._generation:
            self._digests, self._problems, self._shapes = {}, {}, {}
            self._generation = generation

    def _places(self) -> list[ComponentRef[Any]]:
        registry = self.lifecycle.resolver.registry
        return [ref for domain in DOMAINS for ref in registry.refs(domain)]


def decision_digest(decision: Decision) -> str:
    """Return the digest of a decision, the same for equal decisions in every process."""
    said = decision.as_json()
    return digest({key: said[key] for key in said if key != "generation"})


class _Opened(AbstractAsyncContextManager[Body]):
    """One hold on a component, and the body that it makes."""

    __slots__ = ("_bodies", "_handle", "_ref")

    def __init__(self, bodies: ComponentBodies, ref: ComponentRef[Any]) -> None:
        self._bodies = bodies
        self._ref = ref
        self._handle: Handle[Any] = bodies.lifecycle.use(ref)

    async def __aenter__(self) -> Body:
        try:
            component = await self._entered()
        except PausedError as error:
            self._bodies.waits(self._ref, error)
            raise
        candidate = self._handle.candidate
        assert candidate is not None
        try:
            return self._body(component, candidate)
        except BaseException:
            self._handle.leave()
            raise

    async def _entered(self) -> Any:
        try:
            return await self._handle.__aenter__()
        except NoCandidateError:
            self._check_paused()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handle.leave()

    def _body(self, component: Any, candidate: Candidate) -> Body:
        bodies = self._bodies
        is_from_afar = candidate.source.kind is SourceKind.MANIFEST
        provenance = Provenance(
            candidate.provider,
            candidate.version or candidate.source.version,
            candidate.source.detail if is_from_afar else "",
            bodies.decision_digest(self._ref, candidate),
        )
        if self._ref.domain == "action":
            then = bodies.then.get(self._ref.key)
            return _ActionBody(bodies.actions, component, candidate, provenance, then)
        run = getattr(component, "run", None)
        if not callable(run):
            reason = "it has no method run"
            raise ComponentError(candidate.ref, candidate.provider, "run", reason)
        is_async, takes_context = bodies.shape(run)
        blocking = candidate.blocking and not is_async
        return _TaskBody(run, candidate, provenance, blocking, takes_context)

    def _check_paused(self) -> None:
        """Raise `PausedError` where only paused offers could serve."""
        lifecycle = self._bodies.lifecycle
        for standing in lifecycle.resolver.explain(self._ref).standings:
            if standing.rejection is not None and standing.rejection.reason is Reason.PAUSED:
                lifecycle.activity.check(standing.candidate.offer)


@dataclass(frozen=True, slots=True)
class _TaskBody:
    run: Callable[..., Given | Awaitable[Given]]
    candidate: Candidate
    provenance: Provenance
    is_blocking: bool
    takes_context: bool

    def __call__(self, context: StepContext, value: JSONValue, /) -> Given | Awaitable[Given]:
        _begin(self.candidate, context)
        return self.run(value, context=context) if self.takes_context else self.run(value)


@dataclass(frozen=True, slots=True)
class _ActionBody:
    actions: ActionBridge
    action: object
    candidate: Candidate
    provenance: Provenance
    then: Then | None
    is_blocking: bool = False  # the bridge calls sync code in a thread itself

    async def __call__(self, context: StepContext, value: JSONValue, /) -> Given:
        _begin(self.candidate, context)
        result = await self.actions.perform(self.action, self.candidate, value)
        return result if self.then is None else await self.then(context, result)


@dataclass(frozen=True, slots=True)
class _EventBody:
    """Tell the handlers of the event that is a step's input; its result is what came of it.

    What handlers miss are dead letters. Where even those cannot be kept the step fails, and is
    tried again.
    """

    events: Callable[[], EventBridge]
    provenance: Provenance = _NOBODY
    is_blocking: bool = False

    async def __call__(self, context: StepContext, value: JSONValue, /) -> JSONValue:
        _begin(None, context)
        event = Event.from_json(value)
        results = await self.events().dispatch(event)
        lost = [each.handler for each in results if each.is_missed and not each.letter]
        if lost:
            raise UnavailableError(f"no dead letter was kept for {', '.join(lost)}")
        told: JSONValue = {each.handler: str(each.outcome) for each in results}
        return {"topic": event.topic, "id": event.id, "handlers": told}


def _begin(candidate: Candidate | None, context: StepContext) -> None:
    """Let logs and traces know what is at work, in the context of this call alone."""
    run, step = context.run_id, context.step_id
    above_it = Doing(run=run, words=(run,), parent=above())
    words = (run, step, str(context.attempt))
    who = (candidate.ref.domain, candidate.ref.key, candidate.provider) if candidate else ("",) * 3
    DOING.set(Doing(*who, run, step, words, above_it))


def _may_pass(decision: Decision) -> bool:
    """Tell whether somebody who may not serve now may do so later by itself or by `resume`."""
    found = (standing.rejection for standing in decision.standings)
    return any(rejection is not None and rejection.reason.passing for rejection in found)


def _takes_context(run: Callable[..., object]) -> bool:
    signature = attempt(partial(inspect.signature, run)).value
    return signature is not None and "context" in signature.parameters
