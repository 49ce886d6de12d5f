"""What every step of a recipe does around its work: fill in, write aside, check, merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from oneiric.errors import JSONValue
from oneiric.recipes.caching import WHO, Found
from oneiric.recipes.context import Context
from oneiric.recipes.errors import StepError, SuccessError
from oneiric.recipes.success import unmet

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.recipes.sessions import Session, Sessions
    from oneiric.runs.body import Assigned
    from oneiric.runs.context import StepContext

Envelope: TypeAlias = Mapping[str, JSONValue]


@dataclass(frozen=True, slots=True)
class Given:
    """What a step is given: its fields filled in, and what it is held to.

    `name` is the step's id; a member of a matrix has its own.
    """

    name: str
    fields: Mapping[str, Any]
    success: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[str] | None = None
    merge: str = ""

    @classmethod
    def read(cls, name: str, payload: JSONValue) -> Given:
        """Return what the plan says of a step."""
        table = cast("Mapping[str, Any]", payload or {})
        held = table.get("held", {})
        return cls(
            name,
            table.get("fields", {}),
            held.get("success", {}),
            held.get("outputs"),
            table.get("merge", ""),
        )


class RecipeStep:
    """Do one kind of step; a task, whose input is what the recipe says of the step.

    What a step writes is kept aside and merged when it has succeeded; nothing of a step that
    failed is. Derive from it and do the work in `work`.
    """

    def __init__(self, sessions: Link[Sessions]) -> None:
        self.sessions = sessions

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue | Assigned:
        """Do a step.

        Raises:
            StepError: it failed, or what must hold after it does not.
            MergeError: another step wrote the same key.
        """
        async with self.sessions.use() as sessions:
            session = sessions.of(context.run_id)
            given = Given.read(context.step_id, payload)
            spec = session.compiled.recipe.spec
            aside = Context(context.values, strict=spec.strict_keys)
            work = session.work(context, cast("Mapping[str, Any]", payload or {}), self.code)
            cache = session.cache if work.is_kept else None
            found = await cache.find(work) if cache else None
            if cache and found:
                found = self._replayed(found, given, context, session)
                await cache.tell(work, found)
                if found.result:
                    return dict(found.envelope)
            envelope = await self.work(given, aside, session=session, sessions=sessions)
            self._merge(given, aside, context, session)
            if cache and found:
                await cache.keep(work, found, envelope, aside)
            return dict(envelope)

    def code(self) -> Mapping[str, str]:
        """Return what the work is done by, as digests by name: another makes another result."""
        return {"type": type(self).__qualname__}

    async def work(
        self, given: Given, aside: Context, *, session: Session, sessions: Sessions
    ) -> Envelope:
        """Do the work, write to *aside*, and return the envelope of success.

        Raises:
            StepError: it failed.
        """
        raise NotImplementedError

    def _replayed(
        self, found: Found, given: Given, context: StepContext, session: Session
    ) -> Found:
        """Write again what an earlier result had written, unless what must hold does not."""
        if found.result is None:
            return found
        aside = Context(context.values)
        for key, value in found.outputs.items():
            aside.set(key, value, who=WHO)
        try:
            self._merge(given, aside, context, session)
        except SuccessError as error:
            return found.unfit(error.message)
        return found

    def _merge(self, given: Given, aside: Context, context: StepContext, session: Session) -> None:
        last = {entry.key: entry for entry in aside.history}
        if given.outputs is not None and (more := sorted(last.keys() - set(given.outputs))):
            raise StepError(given.name, f"it wrote {', '.join(more)}, not among its outputs")
        problems = unmet(given.success, aside, session.compiled.recipe.folder)
        if problems:
            raise SuccessError(given.name, "; ".join(problems))
        for key in session.claim(given.name, list(last), given.merge):
            context.set(key, last[key].new, who=last[key].who)
