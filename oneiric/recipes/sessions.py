"""What a run of a recipe knows in this process beyond its journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oneiric.chains import Order
from oneiric.core.guard import Guard
from oneiric.documents import digest
from oneiric.errors import JSONValue, NotFoundError
from oneiric.recipes.at_work import AtWork
from oneiric.recipes.caching import Cache, Work
from oneiric.recipes.compiling import Compiled
from oneiric.recipes.errors import MergeError
from oneiric.recipes.places import within
from oneiric.recipes.secrets import Secrets
from oneiric.recipes.sources import script_source, sources_within
from oneiric.recipes.threads import Threads
from oneiric.runs.event import EventKind, RunEvent

if TYPE_CHECKING:
    from oneiric.domains.host import Host
    from oneiric.recipes.resuming import Kept
    from oneiric.runs.context import StepContext


@dataclass(slots=True)
class Session:
    """One run under way here: its recipe, its input, and who has written which key.

    `writers` are step ids by key; a run that is taken up begins with those of its journal.
    `secrets` are those that the recipe names, its secret inputs too; `host` is where it runs,
    `cache` knows earlier results, `kept` is what it needs of the run that it continues, and
    `allows_shell` tells whether host and recipe let a shell read text, and `is_forced` whether it
    goes on though recipes within it have changed. `within` are the runs of recipes that steps run
    now, by the steps' ids; `at_work` are all steps but final ones.
    """

    compiled: Compiled
    input: Mapping[str, JSONValue]
    writers: dict[str, str] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)
    host: Host | None = None
    cache: Cache | None = None
    allows_shell: bool = False
    kept: Kept | None = None
    is_forced: bool = False
    within: dict[str, str] = field(default_factory=dict)
    at_work: AtWork = field(default_factory=AtWork)
    _order: Order[str] | None = None

    @property
    def env(self) -> dict[str, str]:
        """The variables that the recipe gives to programs, with the secrets that they name."""
        env = self.compiled.recipe.spec.env
        return {name: self.secrets.told(text) for name, text in env.items()}

    def is_before(self, first: str, step: str) -> bool:
        """Tell whether *step* waits for *first*, however far; final ones wait for all others."""
        placed = self.compiled.placed
        if placed[step].is_final and not placed[first].is_final:
            return True
        if self._order is None:
            steps = self.compiled.plan.steps
            self._order = Order({step.id: step.depends_on for step in steps})
        return self._order.is_before(first, step)

    def work(
        self,
        context: StepContext,
        payload: Mapping[str, Any],
        code: Callable[[], Mapping[str, str]],
    ) -> Work:
        """Return what a step is about to do, as the cache knows work.

        Its code is *code*, the script that it runs, and the recipe, with all within that.

        Raises:
            InvalidPathError, RefusedError: a file that it depends on lies where it may not.
        """
        recipe, name = self.compiled.recipe, context.step_id
        for path in (payload.get("held", {}).get("cache") or {}).get("inputs", ()):
            within(recipe, path)
        script, child = payload.get("fields", {}).get("script"), self.compiled.children.get(name)

        def whole() -> Mapping[str, str]:
            found = dict(code())
            if script:
                found |= [script_source(recipe, script)]
            return found | dict(sources_within(child) if child else ())

        place = digest([str(recipe.path.resolve()), name])
        values, env = context.values, recipe.spec.env
        return Work(place, name, context.run_id, payload, whole, values, recipe.folder, env)

    def claim(self, step: str, keys: list[str], policy: str) -> list[str]:
        """Let *step* write *keys*, and return those that it may write.

        Steps of which neither waits for the other may not write the same key, unless the last
        one in the order of the plan is to win; whichever ends first.

        Raises:
            MergeError: two such steps write one key; names both.
        """
        mine = []
        for key in keys:
            other = self.writers.get(key, step)
            if other != step and not self.is_before(other, step):
                if policy != "last_write_wins":
                    raise MergeError(
                        step, f"{key} was written by {other} too, and neither waits for the other"
                    )
                places = list(self.compiled.placed)
                if places.index(other) > places.index(step):
                    continue
            mine.append(key)
        self.writers |= dict.fromkeys(mine, step)
        return mine


class Sessions:
    """Know the runs of recipes that are under way in this process, by id."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.threads = Threads()
        self._open: dict[str, Session] = {}

    def cleanup(self) -> None:
        """Let threads end that nobody needs."""
        self.threads.close()

    def begin(self, run_id: str, session: Session) -> None:
        """Let the steps of a run find its session."""
        self._open[run_id] = session

    def end(self, run_id: str, session: Session) -> None:
        """Forget a run that is over or let go, unless it has another session by now."""
        if self._open.get(run_id) is session:
            del self._open[run_id]

    @contextmanager
    def held(self, run_id: str, session: Session) -> Iterator[None]:
        """Let the steps of a run find its session, until it is over or let go."""
        self.begin(run_id, session)
        try:
            yield
        finally:
            self.end(run_id, session)

    def of(self, run_id: str) -> Session:
        """Return the session of a run.

        Raises:
            NotFoundError: it is under way, but not as the run of a recipe.
        """
        if run_id not in self._open:
            hint = f"oneiric recipe run RECIPE --resume {run_id}"
            raise NotFoundError("run of a recipe here:", run_id, hint=hint)
        return self._open[run_id]


def writers_in(events: Iterable[RunEvent]) -> dict[str, str]:
    """Return who wrote which key last, as the journal of a run tells: step ids by key."""
    found = (event for event in events if event.kind is EventKind.CONTEXT_SET)
    return {str(event.data["key"]): event.step for event in found}
