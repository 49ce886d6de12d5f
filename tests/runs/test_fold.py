"""Promise W1: a run is what its events say, whatever is remembered of others."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from oneiric.errors import JSONValue
from oneiric.runs.body import Provenance
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.plan import Plan, Plans, Step
from oneiric.runs.run import fold

AT = "2026-11-21T09:00:00.000000Z"
PLAN = Plan("order", (Step("charge", "task:charge", {"amount": 7}),))


def created(plan: Plan, digest: str) -> RunEvent:
    """Return the first event of a run, as it is read from a file: sharing nothing."""
    data: Mapping[str, JSONValue] = {"plan": copy.deepcopy(plan.as_json()), "digest": digest}
    return RunEvent("r", EventKind.RUN_CREATED, AT, "", data, 1)


def test_promise_w1_runs_of_the_same_plan_share_it() -> None:
    """Whoever folds many runs reads a plan once, and each run is as if it had been read anew."""
    plans = Plans()
    one, other = (fold([created(PLAN, PLAN.digest)], plans) for _ in range(2))
    assert one.plan is other.plan
    assert one == other == fold([created(PLAN, PLAN.digest)])


def test_promise_w1_what_an_event_says_outranks_what_its_digest_recalls() -> None:
    """A plan that is recalled by its digest is used only where the event says the same."""
    plans, digest = Plans(), PLAN.digest
    assert fold([created(PLAN, digest)], plans).plan == PLAN
    changed = Plan("order", (Step("charge", "task:charge", {"amount": 8}),))
    assert fold([created(changed, digest)], plans).plan == changed
    assert fold([created(PLAN, digest)], plans).plan == PLAN


def test_only_the_last_few_plans_are_kept() -> None:
    """Whoever reads plans for long does not keep them all."""
    plans = Plans()
    first = plans.read(PLAN.digest, PLAN.as_json())
    for number in range(100):
        each = Plan(f"p{number}", PLAN.steps)
        plans.read(each.digest, each.as_json())
    again = plans.read(PLAN.digest, PLAN.as_json())
    assert again == first
    assert again is not first


def test_events_that_change_no_state_are_counted() -> None:
    """A note, and a creation told again, leave the run as it is but for its last number."""
    run = fold([created(PLAN, PLAN.digest)])
    for seq, kind in enumerate((EventKind.NOTED, EventKind.RUN_CREATED), start=2):
        run.apply(RunEvent("r", kind, AT, "", {}, seq))
    assert run.last_seq == 3
    run.last_seq = 1
    assert run == fold([created(PLAN, PLAN.digest)])


def test_provenance_is_read_as_it_was_written() -> None:
    """What a start says of who did the work comes back, and what it leaves out is empty."""
    whole = Provenance("acme", "1.2", "sha256:m", "sha256:d")
    assert Provenance.of({"attempt": 1, **whole.as_json()}) == whole
    assert Provenance("acme").as_json() == {"provider": "acme"}
    assert Provenance.of({"attempt": 1}) == Provenance()
