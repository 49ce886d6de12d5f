"""Checkpoints are a view over the journal: per run, at any time, never of another run."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from oneiric.clock import SystemClock
from oneiric.errors import JSONValue, NotFoundError
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.journal import Journal, MemoryJournal
from oneiric.runs.plan import Plan, Step
from oneiric.stores.checkpoints import WorkflowCheckpointStore
from oneiric.stores.journal import SqliteJournal

ORDER = Plan(
    "fulfilment",
    (
        Step("charge", "charge", "${ input }"),
        Step("approve", depends_on=("charge",), signal="approved"),
        Step("ship", "ship", "${ steps.charge.output }", depends_on=("approve",)),
    ),
)


def charge(_context: StepContext, value: JSONValue) -> JSONValue:
    return f"charged {value}"


def ship(_context: StepContext, _value: JSONValue) -> JSONValue:
    raise RuntimeError("no van")


@pytest.fixture(params=["memory", "sqlite"])
async def journal(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    made: Journal = MemoryJournal(SystemClock())
    if request.param == "sqlite":
        made = SqliteJournal(tmp_path / "oneiric.sqlite", clock=SystemClock())
    yield made
    await made.aclose()


@pytest.fixture
async def engine(journal: Journal) -> AsyncIterator[RunEngine]:
    made = RunEngine({"charge": charge, "ship": ship}, journal=journal)
    yield made
    await made.close()


async def test_defect_oneiric_d2_a_checkpoint_belongs_to_a_run(
    journal: Journal, engine: RunEngine
) -> None:
    """Two runs of one workflow have each its own results; an unknown run has none."""
    store = WorkflowCheckpointStore(journal)
    first = await engine.start(ORDER, "A")
    await first.settled()
    second = await engine.start(ORDER, "B")
    await second.settled()
    assert await store.load(first.run_id) == {"charge": "charged A"}
    assert await store.load(second.run_id) == {"charge": "charged B"}
    with pytest.raises(NotFoundError):
        await store.load("fulfilment")


async def test_defect_oneiric_d4_progress_is_there_while_running_and_after_the_end(
    journal: Journal, engine: RunEngine
) -> None:
    """What was recorded is shown while the run waits, and after it failed or was canceled."""
    store = WorkflowCheckpointStore(journal)
    failing, canceled = await engine.start(ORDER, "A"), await engine.start(ORDER, "B")
    await failing.settled()
    await canceled.settled()
    await engine.signal(failing.run_id, "approved", {"by": "ada"})
    await engine.cancel(canceled.run_id, reason="changed my mind")
    assert [(await each).state for each in (failing, canceled)] == ["failed", "canceled"]
    approved = {"charge": "charged A", "approve": {"by": "ada"}}
    assert await store.load(failing.run_id) == approved
    assert await store.load(canceled.run_id) == {"charge": "charged B"}


async def test_defect_oneiric_d3_no_result_stands_for_a_changed_step(
    journal: Journal, engine: RunEngine
) -> None:
    """A run that goes on with another plan keeps no result of a step that is not the same."""
    store = WorkflowCheckpointStore(journal)
    begun = await engine.start(ORDER, "A")
    await begun.settled()
    await engine.cancel(begun.run_id)
    await begun
    other = Plan("fulfilment", (Step("charge", "charge", "twice"), *ORDER.steps[1:]))
    again = await engine.retry(begun.run_id, other, force=True)
    await again.settled()
    assert await store.load(begun.run_id) == {"charge": "charged twice"}
