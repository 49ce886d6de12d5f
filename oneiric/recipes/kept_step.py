"""Steps that were done in an earlier run: they give again what they gave there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.errors import NotFoundError

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.errors import JSONValue
    from oneiric.recipes.sessions import Sessions
    from oneiric.runs.context import StepContext


class KeptStep:
    """Return the result that the step had in the run that is continued.

    Where that left too much for a new run to begin with, it writes what it wrote there too.
    """

    def __init__(self, sessions: Link[Sessions]) -> None:
        self.sessions = sessions

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return it.

        Raises:
            NotFoundError: it is not known here what the step gave.
        """
        async with self.sessions.use() as sessions:
            kept = sessions.of(context.run_id).kept
        name = context.step_id
        if kept is None or name not in kept.results:
            raise NotFoundError("result of an earlier run:", name)
        for key, each in kept.writes.get(name, {}).items():
            if key not in context.values:  # it was given anew
                context.set(key, each.value, who=each.who or name)
        return kept.results[name]
