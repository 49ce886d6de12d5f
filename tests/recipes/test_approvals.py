"""Steps that wait for a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from oneiric.domains.host import Host, host
from oneiric.errors import InvalidError, NotFoundError
from oneiric.recipes import RecipeFailedError, run_recipe
from oneiric.recipes.approve_step import answer, failed
from oneiric.recipes.errors import ApprovalDeniedError
from oneiric.recipes.plugin import SESSIONS
from oneiric.recipes.running import RecipeRunner
from oneiric.recipes.sessions import Sessions
from oneiric.recipes.stdout import parted
from oneiric.runs.engine import RunHandle
from oneiric.runs.state import RunState
from tests.recipes.conftest import Desk

TEXT = """
    inputs: {n: {type: int, default: 3}}
    steps:
      - {name: review, type: approve, prompt: "Publish ${{ inputs.n }} rows?" MORE}
      - {name: later, module: steps, function: Write, args: {key: a.n_v1, value: 1}}
    """


async def test_a_step_waits_until_it_is_approved(desk: Desk) -> None:
    """The answer is bound to the run, its plan and the step."""
    async with host(checkpoints=False) as on, began(on, desk, "") as handle:
        run = await handle.settled()
        assert run.is_waiting
        assert run.steps["review"].prompt == {
            "prompt": "Publish 3 rows?",
            "plan": run.digest,
            "default": "deny",
        }
        with pytest.raises(InvalidError, match="another plan"):
            await answer(on.engine, run.run_id, "review", plan="sha256:0")
        with pytest.raises(InvalidError, match="asks for no approval"):
            await answer(on.engine, run.run_id, "later")
        with pytest.raises(NotFoundError):
            await answer(on.engine, run.run_id, "revue")
        await answer(on.engine, run.run_id, "review", actor="eve", plan=run.digest)
        run = await handle
    assert run.state is RunState.SUCCEEDED
    assert run.steps["review"].result == {"approved": True, "by": "eve", "reason": ""}


async def test_a_denial_fails_the_run_with_its_reason(desk: Desk) -> None:
    """Its error says that it was denied, and its exit code that it was refused."""
    async with host(checkpoints=False) as on, began(on, desk, "") as handle:
        await handle.settled()
        await answer(on.engine, handle.run_id, "review", denied="too few rows", actor="eve")
        run = await handle
    error = failed("r", run)
    assert isinstance(error, ApprovalDeniedError)
    assert (error.code, error.exit_code) == ("approval-denied", 3)
    assert "too few rows" in str(error)
    assert "later" not in run.results


async def test_whoever_does_not_answer_in_time_denies(desk: Desk) -> None:
    """Unless the step says otherwise."""
    async with host(checkpoints=False) as on:
        async with began(on, desk, ", timeout: 100ms") as handle:
            assert isinstance(failed("r", await handle), ApprovalDeniedError)
        async with began(on, desk, ", timeout: 100ms, default: approve") as handle:
            run = await handle
    assert run.state is RunState.SUCCEEDED
    assert run.steps["review"].result == {"approved": True, "by": "default"}


def test_a_failure_of_another_step_is_no_denial(desk: Desk) -> None:
    """It stays what it is."""
    with pytest.raises(RecipeFailedError) as raised:
        run_recipe(
            desk.write("r.yaml", "steps: [{name: a, module: steps, function: Fail}]"),
            checkpoints=False,
        )
    assert raised.value.exit_code == 1


@asynccontextmanager
async def began(on: Host, desk: Desk, more: str) -> AsyncIterator[RunHandle]:
    """Begin a run of the recipe, with *more* said of the approval."""
    runner = RecipeRunner(on)
    compiled = runner.compile(desk.write("r.yaml", TEXT.replace("MORE", more)))
    given = compiled.input({"n": 3})
    async with on.lifecycle.use(SESSIONS) as found:
        sessions = cast("Sessions", found)
        run_id = on.clock.new_id()
        with sessions.held(run_id, await runner.session(compiled, given)), parted():
            yield await on.engine.start(compiled.plan, given, run_id=run_id)
