"""What every step of a recipe does around its work: fill in, write aside, check, merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from oneiric.errors import JSONValue, OneiricError
from oneiric.recipes.caching import WHO, Found
from oneiric.recipes.context import Context
from oneiric.recipes.errors import SecretShownError, StepError, SuccessError
from oneiric.recipes.secrets import Secrets
from oneiric.recipes.stderr import masked_stderr
from oneiric.recipes.success import unmet
from oneiric.runs.body import Assigned

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.recipes.sessions import Session, Sessions
    from oneiric.runs.context import StepContext

Envelope: TypeAlias = Mapping[str, JSONValue]


@dataclass(frozen=True, slots=True)
class Given:
    """What a step is given: its fields filled in, and what it is held to.

    `name` is the step's id; a member of a matrix has its own. `limit` is its time in seconds,
    `context` its place in the run, and `is_kept` tells whether the recipe asks that its result be.
    """

    name: str
    fields: Mapping[str, Any]
    context: StepContext
    limit: float | None = None
    success: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[str] | None = None
    merge: str = ""
    is_kept: bool = False

    @classmethod
    def read(cls, payload: JSONValue, context: StepContext, secrets: Secrets) -> Given:
        """Return what the plan says of a step, with the secrets that it names.

        Raises:
            NotFoundError: there is no such secret.
        """
        table = cast("Mapping[str, Any]", payload or {})
        held = table.get("held", {})
        return cls(
            context.step_id,
            secrets.filled(table.get("fields", {}), table.get("hidden", ())),
            context,
            table.get("limit"),
            held.get("success", {}),
            held.get("outputs"),
            table.get("merge", ""),
            "cache" in held or "cache_key" in held,
        )


class RecipeStep:
    """Do one kind of step; a task, whose input is what the recipe says of the step.

    What a step writes is kept aside and merged when it has succeeded; nothing of a step that
    failed is. Derive from it and do the work in `work`.
    """

    def __init__(self, sessions: Link[Sessions]) -> None:
        self.sessions = sessions

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue | Assigned:
        """Do a step; a final one when all that was stopped before it has ended.

        Raises:
            StepError: it failed, or what must hold after it does not.
            MergeError: another step wrote the same key.
            SecretShownError: it wrote a secret.
        """
        async with self.sessions.use() as sessions:
            session, name = sessions.of(context.run_id), context.step_id
            if session.compiled.placed[name].is_final:
                await session.at_work.over()
                return await self._run(payload, context, session, sessions)
            with session.at_work.on(name):
                return await self._run(payload, context, session, sessions)

    async def _run(
        self, payload: JSONValue, context: StepContext, session: Session, sessions: Sessions
    ) -> JSONValue | Assigned:
        spec = session.compiled.recipe.spec
        given = Given.read(payload, context, session.secrets)
        aside = Context(context.values, strict=spec.strict_keys)
        cache = session.cache if given.is_kept else None
        if cache:
            work = session.work(context, cast("Mapping[str, Any]", payload), self.code)
            found = self._replayed(await cache.find(work), given, session)
            await cache.tell(work, found)
            if found.result:
                return dict(found.envelope)
        try:
            with masked_stderr(session.secrets.masking):
                done = await self.work(given, aside, session=session, sessions=sessions)
            if isinstance(done, Assigned):
                return done
            self._merge(given, aside, session)
        except OneiricError as error:
            raise _masked(given.name, error, session.secrets) from None
        envelope: Envelope = session.secrets.masked(done)
        if cache:
            await cache.keep(work, found, envelope, aside)
        return dict(envelope)

    def code(self) -> Mapping[str, str]:
        """Return what the work is done by, as digests by name: another makes another result."""
        return {"type": type(self).__qualname__}

    async def work(
        self, given: Given, aside: Context, *, session: Session, sessions: Sessions
    ) -> Envelope | Assigned:
        """Do the work, write to *aside*, and return the envelope of success.

        Raises:
            StepError: it failed.
        """
        raise NotImplementedError

    def _replayed(self, found: Found, given: Given, session: Session) -> Found:
        """Write again what an earlier result had written, unless what must hold does not."""
        if found.result is None:
            return found
        aside = Context(given.context.values)
        for key, value in found.outputs.items():
            aside.set(key, value, who=WHO)
        try:
            self._merge(given, aside, session)
        except SuccessError as error:
            return found.unfit(error.message)
        return found

    def _merge(self, given: Given, aside: Context, session: Session) -> None:
        last = {entry.key: entry for entry in aside.history}
        if given.outputs is not None and (more := sorted(last.keys() - set(given.outputs))):
            raise StepError(given.name, f"it wrote {', '.join(more)}, not among its outputs")
        problems = unmet(given.success, aside, session.compiled.recipe)
        if problems:
            raise SuccessError(given.name, "; ".join(problems))
        for key, entry in last.items():
            if session.secrets.shows([key, entry.new, entry.who]):
                raise SecretShownError(given.name, f"what it wrote to {key} holds a secret")
        for key in session.claim(given.name, list(last), given.merge):
            given.context.set(key, last[key].new, who=last[key].who)


def _masked(step: str, error: OneiricError, secrets: Secrets) -> OneiricError:
    """Return *error*, or where it tells a secret one that does not, of the same code."""
    told: JSONValue = [error.message, error.hint, dict(error.details()), list(error.lines())]
    if not secrets.shows(told):
        return error
    envelope = error.envelope if isinstance(error, StepError) else {}
    kind = type(error) if isinstance(error, StepError) else StepError
    masked = secrets.masked(envelope)
    return kind(step, secrets.masked(error.message), envelope=masked, code=error.code)
