"""The speeds to reach, as data. A figure that misses one is told, and fails nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.benchmarks.measure import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a row may cost at most: in its own unit, in floors, or both.

    For a row that counts what is done in a second, what it has to reach at `least`, in floors
    or in its own unit.
    """

    most: float | None = None
    floors: float | None = None
    least: float | None = None
    least_floors: float | None = None

    def is_met(self, row: Row) -> bool:
        """Tell whether *row* stays within every limit that is set."""
        ratio = row.ratio or 0.0
        return (
            (self.most is None or row.measured <= self.most)
            and (self.floors is None or ratio <= self.floors)
            and (self.least is None or row.measured >= self.least)
            and (self.least_floors is None or ratio >= self.least_floors)
        )

    def as_json(self) -> dict[str, float]:
        """Return the limits that are set."""
        limits = {
            "most": self.most,
            "floors": self.floors,
            "least": self.least,
            "least_floors": self.least_floors,
        }
        return {name: limit for name, limit in limits.items() if limit is not None}

    def render(self, unit: str) -> str:
        """Return the limits in words."""
        limits = []
        if self.floors is not None:
            limits.append(f"<= {self.floors:g} x floor")
        if self.most is not None:
            limits.append(f"<= {self.most:g} {unit}".rstrip())
        if self.least_floors is not None:
            limits.append(f">= {self.least_floors:g} x floor")
        if self.least is not None:
            limits.append(f">= {self.least:g} {unit}".rstrip())
        return ", ".join(limits)


TARGETS: Mapping[str, Target] = {
    "resolve, *": Target(most=150, floors=3),
    "explain, 50 offers": Target(most=100),
    "register *, distinct keys": Target(most=1),
    "register *, one key": Target(most=2),
    "register *, memory": Target(most=120),
    "warm use in a *": Target(most=3),
    "swap of a no-op component": Target(most=100),
    "* swaps, *: failed calls": Target(most=0),
    "* swaps, *: calls of a closed one": Target(most=0),
    "dispatch, *": Target(floors=1.2),
    "run of 100 no-op steps, *": Target(most=4),
    "journaled steps, power-loss, one run": Target(least_floors=0.5),
    "journaled steps, kill, one run": Target(least_floors=0.3),
    "journaled steps, *, 100 runs": Target(least=15_000),
    "verify and offer a manifest of 100": Target(most=3),
    "verify and offer a manifest of 10,000": Target(most=400),
    "verify and offer a manifest of *: longest stall": Target(most=20),
    "sync a manifest of *: longest wait of the loop": Target(most=20),
    "oneiric --help": Target(floors=1.2),
    "oneiric list": Target(floors=2.3),
    "oneiric list, with a manifest": Target(floors=2.3),
    "oneiric recipe run, one step": Target(floors=3),
    "oneiric recipe run, a further step": Target(most=1),
    "oneiric recipe run, a further step in memory": Target(most=0.2),
    "* ready steps of a recipe in memory, a second": Target(least=5_000),
    "orchestrator until ready, *": Target(floors=3),
    "100 instant checks": Target(floors=2),
    "100 instant checks, CPU": Target(floors=2),
    "mandatory install, distributions": Target(most=36),
    "mandatory install, size": Target(most=60),
}
"""Name of a row, or a pattern of names, to its target. Rows without one are told all the same."""

FLOORS: Sequence[tuple[str, str]] = (
    ("resolve", "a function that does one dict lookup, with as many keys"),
    ("explain", "sorting as many ranks, and one tuple for each"),
    ("register", "as many plain objects in a dict"),
    ("replace_source", "as many references composed, in a dict"),
    ("warm use", "a context manager that does nothing"),
    ("swap, activation", "a task that does nothing, started and awaited"),
    ("dispatch, measured dispatch", "a bare `asyncio.gather` of the same handlers"),
    (
        "callbacks, pushed events",
        "a bare aiohttp handler that reads the same JSON, asked by the same clients",
    ),
    ("run", "as many tasks that do nothing, each awaited"),
    ("journaled steps, appends", "raw SQLite that commits the same two rows for each step"),
    ("verify", "one signature over the same bytes checked by PyNaCl, and `json.loads`"),
    ("orchestrator until ready", "a process that imports aiohttp.web, pydantic and the like"),
    (
        "100 instant checks",
        "a bare aiohttp client that gets the same, as many at once; by the clock and by CPU",
    ),
    ("oneiric", "`--help` of a Typer app with two commands that do nothing"),
)
"""What stands under each kind of row."""


def target_of(name: str) -> Target | None:
    """Return the target of the row *name*, or None."""
    exact = TARGETS.get(name)
    found = (each for pattern, each in TARGETS.items() if fnmatchcase(name, pattern))
    return exact or next(found, None)
