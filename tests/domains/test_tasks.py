"""Tasks as runs of one step: what their metadata rules, and what is refused."""

import pytest

from oneiric.core.candidate import Candidate
from oneiric.domains.metadata import InvalidMetadataError
from oneiric.errors import NoCandidateError, PausedError, RunExistsError
from oneiric.runs.state import RunState
from tests.domains.works import Script, task, workplace


async def test_a_task_is_a_recorded_run_of_one_step() -> None:
    """The run is in the journal under its own name, with what was given and what came of it."""
    script = Script()
    async with workplace(task("mail", script.task("mail"))) as place:
        run = await place.tasks.run("mail", {"to": "ada"}, run_id="r-1", metadata={"who": "test"})
        (record,) = await place.journal.runs()
    assert (record.run_id, record.name, record.state) == ("r-1", "task:mail", RunState.SUCCEEDED)
    assert (run.input, run.results) == ({"to": "ada"}, {"run": {"by": "mail"}})
    assert run.metadata == {"who": "test"}


async def test_its_metadata_says_how_often_and_how_long() -> None:
    """Failures within the policy are retried; the error types it names are the only ones."""
    script = Script(failures={"mail": 2, "picky": 1})
    policy = {"attempts": 3, "base_delay": 0, "jitter": 0}
    mail = task("mail", script.task("mail"), metadata={"retry_policy": policy})
    picky = task(
        "picky", script.task("picky"), metadata={"retry_policy": {**policy, "on": ["timeout"]}}
    )
    async with workplace(mail, picky) as place:
        run = await place.tasks.run("mail")
        assert (run.state, run.steps["run"].attempt) == (RunState.SUCCEEDED, 3)
        run = await place.tasks.run("picky")
        assert (run.state, run.steps["run"].attempt) == (RunState.FAILED, 1)
        plan = place.tasks.plan("mail@test", provider="test")
    assert plan.steps[0].target == "task:mail@test"


async def test_wrong_metadata_is_told_at_once_with_its_place() -> None:
    """Every problem, and the offer it belongs to."""
    wrong = {"retry_policy": {"tries": 2}, "timeout_seconds": -1}
    async with workplace(task("mail", object, metadata=wrong)) as place:
        with pytest.raises(InvalidMetadataError) as caught:
            await place.tasks.run("mail")
    first, *problems = str(caught.value).splitlines()
    assert first == "the metadata of task:mail@test (code) cannot be followed"
    assert problems[0] == "  timeout_seconds: it is a number of seconds above 0"
    assert problems[1].startswith("  retry_policy: a retry policy has no 'tries'; keys: attempts")


async def test_a_run_id_is_used_once() -> None:
    """Asked again under the same id, nothing is done again."""
    script = Script()
    async with workplace(task("mail", script.task("mail"))) as place:
        await place.tasks.run("mail", run_id="r-1")
        with pytest.raises(RunExistsError):
            await place.tasks.run("mail", run_id="r-1")
    assert script.names == ["mail"]


async def test_promise_a1_a_paused_task_takes_no_new_runs() -> None:
    """Neither begun nor enqueued; an unknown one is named."""
    async with workplace(task("mail", object)) as place:
        await place.tasks.pause("mail", note="maintenance")
        for refused in (place.tasks.run("mail"), place.tasks.enqueue("mail")):
            with pytest.raises(PausedError, match="maintenance"):
                await refused
        with pytest.raises(NoCandidateError):
            await place.tasks.run("mial")
        assert not await place.journal.runs()


async def test_a_task_needs_a_queue_to_be_enqueued() -> None:
    """Without a queue the error names the place that nobody fills."""
    async with workplace(task("mail", object)) as place:
        with pytest.raises(NoCandidateError, match="adapter:queue"):
            await place.tasks.enqueue("mail")


async def test_a_task_fails_with_its_own_words() -> None:
    """What it raised is what the run tells."""
    script = Script(failures={"mail": 1})
    async with workplace(Candidate("task:mail", "test", script.task("mail"))) as place:
        run = await place.tasks.run("mail")
    assert run.error is not None
    assert (run.state, run.error["code"]) == (RunState.FAILED, "failed")
    assert "mail does not answer" in str(run.error["message"])
