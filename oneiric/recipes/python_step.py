"""Steps that are scriptlets, run in a thread of this process or in a process of their own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from oneiric.config.load import variables_named
from oneiric.documents import canonical
from oneiric.recipes.errors import StepError, kinds_of
from oneiric.recipes.loading import load_scriptlet
from oneiric.recipes.modules import origin_of
from oneiric.recipes.programs import failure, ran
from oneiric.recipes.sources import source_of
from oneiric.recipes.stdout import caught, envelope_in, told_of
from oneiric.recipes.step import Envelope, Given, RecipeStep

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.errors import JSONValue
    from oneiric.ports.executor import CommandResult, Executor
    from oneiric.recipes.context import Context
    from oneiric.recipes.scriptlet import BaseScriptlet
    from oneiric.recipes.sessions import Session, Sessions

_BEGIN = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from oneiric.recipes.isolated import main; sys.exit(main())"
)
_CHILD = (sys.executable, "-E", "-P", "-c", _BEGIN)
"""A child heeds no variable by which a recipe could have it run what was not allowed."""


class PythonStep(RecipeStep):
    """Do steps by a scriptlet, `module:Class`.

    It runs in a thread. With a time limit, or where it or its step says `requires_process`, it
    runs in a process of its own, which gets the variables of the recipe and few others: that
    can be ended, and so it is dead when its step has failed.
    """

    def __init__(self, target: str, sessions: Link[Sessions], executor: Link[Executor]) -> None:
        super().__init__(sessions)
        self.executor = executor
        self.target = target
        self.scriptlet: type[BaseScriptlet]

    def init(self) -> None:
        """Import the class."""
        self.scriptlet = load_scriptlet(self.target)

    def code(self) -> Mapping[str, str]:
        """Return the class and the digest of the file that it is defined in."""
        module, _, name = self.target.partition(":")
        source = source_of(self.target)
        return {"module": module, "class": name, "source of the scriptlet": source}

    async def work(
        self, given: Given, aside: Context, *, session: Session, sessions: Sessions
    ) -> Envelope:
        """Have the scriptlet run, and read its envelope."""
        asks = given.fields.get("requires_process") or self.scriptlet.requires_process
        if asks or given.limit is not None:
            return await self._apart(given, aside, session)
        params, codes = given.fields.get("args", {}), given.success.get("exit_codes", (0,))
        call = partial(run_scriptlet, self.scriptlet, given.name, aside, params, codes=codes)
        outcome = await sessions.threads.call(call)
        if isinstance(outcome.error, StepError):
            raise outcome.error
        if outcome.error is not None:
            raise StepError.raised(given.name, kinds_of(outcome.error), outcome.reason)
        return cast("Envelope", outcome.value)

    async def _apart(self, given: Given, aside: Context, session: Session) -> Envelope:
        """Have the scriptlet run in a process, which gets a copy of the context."""
        told: dict[str, JSONValue] = {
            "target": self.target,
            "step": given.name,
            "params": given.fields.get("args", {}),
            "codes": given.success.get("exit_codes", (0,)),
            "values": aside.to_dict(),
            "strict": session.compiled.recipe.spec.strict_keys,
            "origin": str(origin_of(self.target.partition(":")[0])),
        }
        result = await ran(
            self.executor,
            given,
            session,
            args=(*_CHILD, *sys.path),
            env={**variables_named(("PYTHONPATH",)), **session.env},
            stdin=canonical(told),
        )
        said = _said(result)
        if said is None:
            raise failure(given, result)
        if said.get("kinds"):
            raise StepError.raised(given.name, said["kinds"], said["reason"])
        if "written" not in said:
            raise StepError(
                given.name, said["reason"], envelope=said["envelope"], code=said["code"]
            )
        for each in said["written"]:
            aside.set(each["key"], each["value"], who=each["who"])
        return cast("Envelope", said["envelope"])


def _said(result: CommandResult) -> dict[str, Any] | None:
    """Return what a child said at its end, if it came so far."""
    if result.stdout_dropped or not result.stdout.endswith(b"\n"):
        return None
    return cast("dict[str, Any]", json.loads(result.stdout))


def run_scriptlet(
    scriptlet: type[BaseScriptlet],
    step: str,
    context: Context,
    params: JSONValue,
    *,
    codes: Sequence[int] = (0,),
) -> dict[str, JSONValue]:
    """Check and run one scriptlet, and return its envelope.

    Raises:
        StepError: it returned none of *codes*, or told that it failed; None counts as 0.
        Exception: whatever it raised.
        StdoutError: it did not print exactly one JSON line.
    """
    is_done = False
    with caught() as printed:
        try:
            doing = scriptlet()
            doing.validate(context, params)
            code = doing.run(context, params)
            is_done = True
        finally:
            if not is_done:
                told_of(step, printed.getvalue())
    envelope = dict(envelope_in(step, printed.getvalue()))
    if (code or 0) not in codes or envelope.get("status") != "ok":
        reason = str(envelope.get("reason") or f"it returned {code}")
        own = f"exit-{code}" if code not in (0, 1, None) else ""
        raise StepError(step, reason, envelope=envelope, code=own)
    return envelope
