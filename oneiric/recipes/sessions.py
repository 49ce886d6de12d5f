"""What a run of a recipe knows in this process beyond its journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oneiric.chains import Order
from oneiric.core.guard import Guard
from oneiric.documents import digest
from oneiric.errors import JSONValue, NotFoundError
from oneiric.recipes.caching import Cache, Work
from oneiric.recipes.compiling import Compiled
from oneiric.recipes.errors import MergeError

if TYPE_CHECKING:
    from oneiric.domains.host import Host
    from oneiric.runs.context import StepContext


@dataclass(slots=True)
class Session:
    """One run under way here: its recipe, its input, and who has written which key.

    `writers` are step ids by key; a run that is taken up begins with those of its journal.
    `host` is where it runs, and `cache` knows earlier results.
    `secret` are the inputs that no journal holds; whoever takes the run up gives them again.
    """

    compiled: Compiled
    input: Mapping[str, JSONValue]
    writers: dict[str, str] = field(default_factory=dict)
    host: Host | None = None
    cache: Cache | None = None
    secret: Mapping[str, JSONValue] = field(default_factory=dict, repr=False)
    _order: Order[str] | None = None

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
        """Return what a step is about to do, as the cache knows work."""
        recipe, name = self.compiled.recipe, context.step_id
        place = digest([str(recipe.path.resolve()), name])
        values, env = context.values, recipe.spec.env
        return Work(place, name, context.run_id, payload, code, values, recipe.folder, env)

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
        self._open: dict[str, Session] = {}

    @contextmanager
    def held(self, run_id: str, session: Session) -> Iterator[None]:
        """Let the steps of a run find its session, until it is over or let go."""
        self._open[run_id] = session
        try:
            yield
        finally:
            del self._open[run_id]

    def of(self, run_id: str) -> Session:
        """Return the session of a run.

        Raises:
            NotFoundError: it is under way, but not as the run of a recipe.
        """
        if run_id not in self._open:
            hint = f"oneiric recipe run RECIPE --resume {run_id}"
            raise NotFoundError("run of a recipe here:", run_id, hint=hint)
        return self._open[run_id]
