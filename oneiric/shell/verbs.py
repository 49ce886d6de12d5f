"""What the magics ask for, of a runtime in this process or of the one that runs in the folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from oneiric.errors import InvalidError, JSONValue, OneiricError
from oneiric.runtime.activity_answers import ActivityChange
from oneiric.runtime.operator import Operator
from oneiric.runtime.runs import RunDesk

if TYPE_CHECKING:
    from oneiric.core.ref import ComponentRef
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.shell.loop import LoopThread

ACTOR = "shell"
HEALTH = "shell-health"


class Told(Protocol):
    """What somebody answered who runs elsewhere."""

    @property
    def document(self) -> Mapping[str, JSONValue]:
        """The document."""
        ...

    @property
    def text(self) -> str:
        """The same for people."""
        ...

    @property
    def exit_code(self) -> int:
        """What a command would end with."""
        ...


class Live(Protocol):
    """A running orchestrator, as `oneiric.runtime.live` asks it."""

    def ask(self, verb: str, asked: Mapping[str, JSONValue]) -> Told:
        """Have it do *verb*.

        Raises:
            OneiricError: why it was not done.
        """
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its document, the same as text where somebody laid that out, an exit code."""

    document: Mapping[str, JSONValue] = field(default_factory=dict)
    text: str = ""
    exit_code: int = 0


class _Over(Operator):
    """The operator of a runtime that is there already."""

    def __init__(self, runtime: RuntimeOrchestrator) -> None:
        super().__init__(folder=runtime.config.folder)
        vars(self)["orchestrator"] = runtime


class Verbs:
    """Answer what the magics ask for, from a runtime that is entered on *loop*.

    Raises (each verb): NotFoundError, InvalidError about what is named; StoreError where the
    state cannot be read or written.
    """

    applied = "local"

    def __init__(self, runtime: RuntimeOrchestrator, loop: LoopThread) -> None:
        self.runtime = runtime
        self._operator = _Over(runtime)
        self.loop = loop

    def status(self, domain: str = "") -> Said:
        """Return how each component stands."""
        return Said(self._operator.status(domain=domain).as_json())

    def explain(self, ref: str, *, needs: Sequence[str], assume: Sequence[str]) -> Said:
        """Return the decision for *ref*, as far as assumed."""
        answer = self._operator.explain(ref, needs=needs, assume=assume)
        problem = answer.decision.problem
        return Said(answer.as_json(), exit_code=problem.exit_code if problem else 0)

    def swap(self, ref: str, *, provider: str, clear: bool) -> Said:
        """Swap a component, and store the selection."""
        named = self._operator.ref(ref, provider=provider)
        if bool(named.provider) is clear:
            raise InvalidError("swap needs a provider, or --clear, and not both")
        report = self.loop(
            self.runtime.swap(named.place, provider=named.provider, clear=clear, actor=ACTOR)
        )
        if report.error is not None and report.failed_phase == "resolve":
            raise report.error  # nothing was tried
        return Said(report.as_json(), report.render(), exit_code=0 if report.ok else 1)

    def runs(self, limit: int) -> Said:
        """Return the newest runs, of every process in the folder."""
        return Said(RunDesk(self.runtime).list(limit=limit).as_json())

    def pause(self, ref: str, *, note: str) -> Said:
        """Let a component take no new work."""
        named, before = self._known(ref)
        activity = self.loop(self.runtime.pause(named, note=note, actor=ACTOR))
        return self._changed(named, before, activity)

    def resume(self, ref: str) -> Said:
        """Let it take work again."""
        named, before = self._known(ref)
        activity = self.loop(self.runtime.resume(named, actor=ACTOR))
        return self._changed(named, before, activity)

    def drain(self, ref: str, *, note: str, limit: float | None) -> Said:
        """Let it take no new work, and wait until none is in flight here."""
        named, before = self._known(ref)
        report = self.loop(self.runtime.drain(named, note=note, limit=limit, actor=ACTOR))
        said = self._changed(named, before, self.runtime.lifecycle.activity.get(named))
        lines = [f"still in flight: {holder}" for holder in report.holders]
        text = "\n".join([said.text, *lines])
        return Said(said.document, text, exit_code=1 if report.in_flight else 0)

    def activity(self, domain: str = "") -> Said:
        """Return what is paused or draining."""
        return Said(self._operator.activity(domain=domain).as_json())

    def health(self, domain: str = "") -> Said:
        """Ask everything that is up whether it is healthy."""
        rows = list(self._probed(domain))
        document: Mapping[str, JSONValue] = {"schema": HEALTH, "components": rows}
        return Said(document, exit_code=0 if all(row["healthy"] for row in rows) else 1)

    def refs(self) -> list[str]:
        """Return every place that has offers."""
        return [str(ref) for ref in self.runtime.resolver.registry.refs()]

    def providers(self, ref: str) -> list[str]:
        """Return who offers to fill a place."""
        place = self._operator.ref(ref).place
        return [offer.provider for offer in self.runtime.resolver.registry.offers(place)]

    def _probed(self, domain: str) -> Iterator[dict[str, JSONValue]]:
        self._operator.list(domain=domain)  # which knows the domains
        for ref, candidate in self.runtime.running.places().items():
            if domain in ("", ref.domain):
                report = self.loop(self.runtime.lifecycle.probe(ref))
                yield {"ref": str(ref), "provider": candidate.provider, **report.as_json()}

    def _known(self, ref: str) -> tuple[ComponentRef[Any], Any]:
        named = self._operator.ref(ref)
        return named, self.runtime.lifecycle.activity.get(named)

    def _changed(self, ref: ComponentRef[Any], before: Any, after: Any) -> Said:
        place = self.runtime.lifecycle.activity.get(ref.place)
        interval = self.runtime.activity.interval
        change = ActivityChange(str(ref), before, after, place, interval, applied=self.applied)
        return Said(change.as_json(), f"{self.applied}: {ref} is {after.state}")


class LiveVerbs(Verbs):
    """Have the orchestrator that runs in the folder do what the magics ask for.

    Runs are read from the state of the folder, which is the same for both.
    """

    applied = "live"

    def __init__(self, runtime: RuntimeOrchestrator, loop: LoopThread, live: Live) -> None:
        super().__init__(runtime, loop)
        self._live = live

    def status(self, domain: str = "") -> Said:
        return self._asked("status", domain=domain)

    def explain(self, ref: str, *, needs: Sequence[str], assume: Sequence[str]) -> Said:
        return self._asked("explain", ref=ref, needs=list(needs), assume=list(assume))

    def swap(self, ref: str, *, provider: str, clear: bool) -> Said:
        return self._asked("swap", ref=ref, provider=provider, clear=clear, actor=ACTOR)

    def pause(self, ref: str, *, note: str) -> Said:
        return self._asked("pause", ref=ref, note=note, actor=ACTOR)

    def resume(self, ref: str) -> Said:
        return self._asked("resume", ref=ref, actor=ACTOR)

    def drain(self, ref: str, *, note: str, limit: float | None) -> Said:
        return self._asked("drain", ref=ref, note=note, wait=True, limit=limit, actor=ACTOR)

    def activity(self, domain: str = "") -> Said:
        return self._asked("activity", domain=domain)

    def _probed(self, domain: str) -> Iterator[dict[str, JSONValue]]:
        rows: Any = self._asked("status", domain=domain).document["status"]
        for row in rows:
            if row["state"] == "inactive":
                continue
            try:
                found = self._asked("probe", ref=row["ref"]).document
            except OneiricError as error:
                found = {"healthy": False, "detail": error.message}
            healthy, detail = bool(found.get("healthy")), found.get("detail")
            yield {
                "ref": row["ref"],
                "provider": row["provider"],
                "healthy": healthy,
                "detail": detail,
            }

    def _asked(self, verb: str, **asked: JSONValue) -> Said:
        told = self._live.ask(verb, asked)
        return Said(told.document, told.text, told.exit_code)
