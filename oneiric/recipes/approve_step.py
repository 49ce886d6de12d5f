"""Steps that wait for a person to approve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.errors import InvalidError, JSONValue, NotFoundError
from oneiric.recipes.compiling import BUILT_IN
from oneiric.recipes.errors import ApprovalDeniedError, RecipeFailedError
from oneiric.recipes.log import tell
from oneiric.recipes.step import Given, RecipeStep
from oneiric.runs.body import Assigned
from oneiric.runs.state import StepState
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from oneiric.recipes.context import Context
    from oneiric.recipes.sessions import Session, Sessions
    from oneiric.runs.engine import RunEngine
    from oneiric.runs.run import Run

SIGNAL = "approve"
"""The signal that answers, to the step that asked."""


class ApproveStep(RecipeStep):
    """Ask for approval, and wait for the answer in the run's journal, through restarts too.

    Whoever does not answer in time denies, unless the step says `default: approve`.
    """

    async def work(
        self, given: Given, aside: Context, *, session: Session, sessions: Sessions
    ) -> Assigned:
        """Return what is asked, and how long an answer is waited for; who watches is told."""
        asked = str(given.fields.get("prompt") or f"Go on with {given.name}?")
        asked = session.secrets.masked(asked)
        command = f"oneiric recipe approve {given.context.run_id} '{given.name}'"
        tell(printable(f"{given.name} waits for an approval: {asked}\n  {command}"))
        prompt: JSONValue = {
            "prompt": asked,
            "plan": session.compiled.plan.digest,
            "default": given.fields.get("default", "deny"),
        }
        return Assigned(session.secrets.masked(prompt), SIGNAL, given.limit)


async def answer(
    engine: RunEngine,
    run_id: str,
    step: str,
    *,
    denied: str = "",
    actor: str = "",
    plan: str = "",
) -> None:
    """Approve a step, or deny it for the reason *denied*; the answer goes to no other step.

    Args:
        engine: who knows the run, here or in another process.
        run_id: the run.
        step: the step that asks; one that has not asked yet is answered in advance.
        denied: why not; empty to approve.
        actor: who answers.
        plan: the digest of the plan that was looked at, if that is to be the same still.

    Raises:
        NotFoundError: there is no such run or step.
        InvalidError: the step asks nobody, the run is over, or its plan is another.
    """
    run = await engine.get(run_id)
    if step not in run.steps:
        raise NotFoundError(f"step of {run_id}:", step, known=run.steps)
    if run.steps[step].step.target != BUILT_IN["approve"]:
        raise InvalidError(f"the step {step} asks for no approval")
    if plan and plan != run.digest:
        raise InvalidError(f"the run {run_id} has another plan than was looked at")
    value: JSONValue = {"approved": not denied, "by": actor, "reason": denied}
    await engine.signal(run_id, SIGNAL, value, step=step, actor=actor, error=denied)


def failed(recipe: str, run: Run) -> RecipeFailedError:
    """Return the error of a run that ended without success; what was denied has its own."""
    kind = ApprovalDeniedError if is_denied(run) else RecipeFailedError
    return kind(recipe, run)


def is_denied(run: Run) -> bool:
    """Tell whether a run ended because an approval, its own or a nested one, was not given."""
    lost = [each for each in run.steps.values() if each.state is StepState.FAILED]
    return any(
        each.step.target == BUILT_IN["approve"]
        or (each.error or {}).get("code") == ApprovalDeniedError.code
        for each in lost
    )
