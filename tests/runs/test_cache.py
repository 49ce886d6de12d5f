"""Promise W7 where a result is kept: whose it is, and whom a swap asks anew."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from oneiric.errors import JSONValue
from oneiric.runs.body import Assigned, Bodies, Body, Provenance
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind
from oneiric.runs.journal import MemoryJournal
from oneiric.runs.plan import Plan, Step
from oneiric.runs.run import fold

PLAN = Plan("p", (Step("a", "x", "in", cache_key="k"),))


class Shelf:
    """A cache."""

    def __init__(self) -> None:
        self.kept: dict[str, JSONValue] = {}

    async def get(self, key: str) -> JSONValue:
        return self.kept.get(key)

    async def set(self, key: str, value: JSONValue) -> None:
        self.kept[key] = value


@dataclass
class Chosen(Bodies, Body):
    """Whoever is chosen just now does all work."""

    who: Provenance
    calls: int = 0
    is_blocking = False

    @property
    def provenance(self) -> Provenance:
        return self.who

    def problem(self, target: str) -> str:
        return ""

    def open(self, target: str) -> AbstractAsyncContextManager[Body]:
        return nullcontext(self)

    def __call__(self, context: StepContext, value: JSONValue, /) -> JSONValue | Assigned:
        self.calls += 1
        return f"{self.provenance.provider}{self.provenance.version} {value}"


async def test_promise_w7_a_kept_result_says_who_made_it(journal: MemoryJournal) -> None:
    """Provider, version and digests are those of the call that made it, also when folded."""
    first = Provenance("a", "1", "sha256:m", "sha256:d")
    bodies = Chosen(first)
    engine = RunEngine(bodies, journal=journal, cache=Shelf())
    assert (await engine.run(PLAN)).steps["a"].provenance == first
    bodies.who = first._replace(decision_digest="sha256:another")
    run = await engine.run(PLAN, run_id="r")
    step = run.steps["a"]
    assert (bodies.calls, step.result, step.reason) == (1, "a1 in", "cache")
    assert step.provenance == first
    assert step.started_at == step.ended_at != ""
    events = await journal.read("r")
    assert fold(events) == run
    assert EventKind.STEP_STARTED not in [event.kind for event in events]
    await engine.close()


async def test_promise_w7_a_swap_asks_anew(journal: MemoryJournal) -> None:
    """Another provider, version or manifest has results of its own; going back finds the old."""
    first = Provenance("a", "1", "sha256:m")
    bodies = Chosen(first)
    engine = RunEngine(bodies, journal=journal, cache=Shelf())
    others = [("provider", "b"), ("version", "2"), ("manifest_digest", "sha256:n")]
    made = [first, *(first._replace(**{field: value}) for field, value in others)]
    for number, provenance in enumerate([*made, *made]):
        bodies.who = provenance
        run = await engine.run(PLAN)
        assert run.results == {"a": f"{provenance.provider}{provenance.version} in"}
        assert run.steps["a"].provenance == provenance
        assert bodies.calls == min(number + 1, len(made))
    await engine.close()
