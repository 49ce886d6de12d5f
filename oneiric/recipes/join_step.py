"""What follows the members of a matrix that all go on where one of them fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from oneiric.recipes.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oneiric.errors import JSONValue
    from oneiric.runs.body import Assigned
    from oneiric.runs.context import StepContext


class JoinStep:
    """Fail if a member failed; a task, whose input are the states of the members by their ids."""

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue | Assigned:
        """Look at how the members ended.

        Raises:
            StepError: names the members that failed.
        """
        states = cast("Mapping[str, str]", payload)
        if failed := [name for name, state in states.items() if state == "failed"]:
            raise StepError(context.step_id, f"{', '.join(failed)} failed")
        return {"members": list(states)}
