"""Steps that wait for a person."""

from __future__ import annotations

import re
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
from oneiric.to_end import run_to_end
from tests.recipes.conftest import Desk
from tests.recipes.runs import ran

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


NESTED = {
    "inner.yaml": "steps: [{name: review, type: approve}]",
    "child.yaml": """
        version: 2
        steps:
          - {name: deep, type: recipe, recipe: inner.yaml}
          - {name: slow, type: shell, run: [sleep, "0.5"]}
          - {name: done, type: shell, run: [touch, done], depends_on: [deep]}
        """,
    "r.yaml": """
        version: 2
        steps:
          - {name: sub, type: recipe, recipe: child.yaml}
          - {name: beside, module: steps, function: Log, args: {key: b.n_v1}}
          - {name: later, module: steps, function: Log, args: {key: a.n_v1}, depends_on: [sub]}
        """,
}


def test_a_run_that_waits_in_a_recipe_within_is_let_go_as_one_that_waits(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """However deep; who is to be answered is told, and then the run is gone on with."""
    for name, text in NESTED.items():
        desk.write(name, text)
    path = desk.folder / "r.yaml"
    first = ran(path, no_wait=True)
    assert first.verdict["status"] == "waiting"
    assert first.statuses == {"sub": "running", "beside": "ok", "later": "pending"}
    (told,) = re.findall(r"deep: review waits for an answer: (.*)", capsys.readouterr().err)
    *_, run_id, step = told.split()

    async def approve() -> None:
        async with host() as on:
            await answer(on.engine, run_id, step, actor="eve")

    run_to_end(approve())
    last = ran(path, resume=first.run.run_id)
    assert last.statuses == {"sub": "ok", "beside": "ok", "later": "ok"}
    assert desk.log == ["b.n_v1", "a.n_v1"]


def test_run_recipe_does_not_wait_for_a_person_within_a_recipe(desk: Desk) -> None:
    """It says that the run waits, as it does where the recipe itself asks."""
    for name, text in NESTED.items():
        desk.write(name, text)
    with pytest.raises(RecipeFailedError, match="running"):
        run_recipe("r.yaml", checkpoints=False)


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
