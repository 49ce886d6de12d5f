"""Steps that are scriptlets, run in a thread of this process."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from oneiric.recipes.caching import digest_of
from oneiric.recipes.errors import StepError
from oneiric.recipes.loading import load_scriptlet
from oneiric.recipes.stdout import caught, envelope_in
from oneiric.recipes.step import Envelope, Given, RecipeStep

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.errors import JSONValue
    from oneiric.recipes.context import Context
    from oneiric.recipes.scriptlet import BaseScriptlet
    from oneiric.recipes.sessions import Session, Sessions


class PythonStep(RecipeStep):
    """Do steps by a scriptlet, `module:Class`."""

    def __init__(self, target: str, sessions: Link[Sessions]) -> None:
        super().__init__(sessions)
        self.target = target
        self.scriptlet: type[BaseScriptlet]

    def init(self) -> None:
        """Import the class."""
        self.scriptlet = load_scriptlet(self.target)

    def code(self) -> Mapping[str, str]:
        """Return the class and the digest of the file that it is defined in."""
        module, _, name = self.target.partition(":")
        file = getattr(sys.modules.get(module), "__file__", None)
        source = digest_of(Path(file)) if file else "unknown"
        return {"module": module, "class": name, "source of the scriptlet": source}

    async def work(
        self, given: Given, aside: Context, *, session: Session, sessions: Sessions
    ) -> Envelope:
        """Have the scriptlet run in a thread, and read its envelope."""
        call = partial(
            run_scriptlet, self.scriptlet, given.name, aside, given.fields.get("args", {})
        )
        outcome = await sessions.guard.call(call, limit=math.inf, blocking=True)
        if isinstance(outcome.error, StepError):
            raise outcome.error
        if outcome.error is not None:
            raise StepError(given.name, outcome.reason) from outcome.error
        return cast("Envelope", outcome.value)


def run_scriptlet(
    scriptlet: type[BaseScriptlet], step: str, context: Context, params: JSONValue
) -> dict[str, JSONValue]:
    """Check and run one scriptlet, and return its envelope.

    Raises:
        StepError: it returned another code than 0, or told that it failed.
        Exception: whatever it raised.
        StdoutError: it did not print exactly one JSON line.
    """
    with caught() as printed:
        doing = scriptlet()
        doing.validate(context, params)
        code = doing.run(context, params)
    envelope = dict(envelope_in(step, printed.getvalue()))
    if code not in (0, None) or envelope.get("status") != "ok":
        reason = str(envelope.get("reason") or f"it returned {code}")
        raise StepError(step, reason, envelope=envelope)
    return envelope
