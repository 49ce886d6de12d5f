"""How to measure on a machine that others use too: subject and floor by turns, the best of each."""

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.architecture.source import ROOT


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, with the figure of its floor in the same unit and the same run."""

    name: str
    measured: float
    unit: str
    floor: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many floors it cost, or None where there is no floor."""
        return self.measured / self.floor if self.floor else None


@dataclass(frozen=True, slots=True)
class Curve:
    """How a cost grows: size and cost at that size, in *unit*; and what the cost is per."""

    name: str
    unit: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much a run measures: `FULL` for people, `TINY` for the test of the benchmarks."""

    repeats: int
    calls: int
    keys: tuple[int, ...]
    offers: int
    registered: int
    source: int
    swaps: int
    tasks: int
    threads: int
    processes: int
    steps: int
    runs_at_once: int
    curve: tuple[int, ...]


FULL = Size(
    repeats=25,
    calls=20_000,
    keys=(1, 100, 10_000),
    offers=50,
    registered=100_000,
    source=10_000,
    swaps=200,
    tasks=64,
    threads=8,
    processes=11,
    steps=1_500,
    runs_at_once=100,
    curve=(1, 10, 100, 1_000, 10_000),
)
TINY = Size(
    repeats=5,
    calls=1_000,
    keys=(1, 100, 10_000),
    offers=10,
    registered=200,
    source=100,
    swaps=10,
    tasks=4,
    threads=2,
    processes=1,
    steps=20,
    runs_at_once=3,
    curve=(1, 10, 100),
)


def by_turns(subjects: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Measure every subject once, then every one again, *repeats* times; sorted figures."""
    figures: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(repeats):
        for name, measure in subjects.items():
            figures[name].append(measure())
    return {name: sorted(found) for name, found in figures.items()}


def statements(
    given: Mapping[str, str], names: Mapping[str, object], *, calls: int, repeats: int
) -> dict[str, float]:
    """Return the nanoseconds of CPU of one run of each statement, the best of all repeats."""
    timers = {
        name: timeit.Timer(text, timer=time.process_time, globals=dict(names))
        for name, text in given.items()
    }
    subjects = {name: _bound(timer, calls) for name, timer in timers.items()}
    for measure in subjects.values():
        measure()
    return {name: found[0] for name, found in by_turns(subjects, repeats).items()}


def _bound(timer: timeit.Timer, calls: int) -> Callable[[], float]:
    return lambda: timer.timeit(calls) / calls * 1e9


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of *work*, with the collector running as it does for users."""
    gc.collect()
    started = time.process_time()
    kept = work()
    spent = time.process_time() - started
    del kept
    return spent


def cpu_ms(work: Callable[[], object]) -> Callable[[], float]:
    """Return what measures *work* in milliseconds of CPU time."""
    return lambda: cpu_seconds(work) * 1e3


def median(figures: Sequence[float]) -> float:
    """Return the figure in the middle."""
    return statistics.median(figures)


def percentile(figures: Iterable[float], percent: int) -> float:
    """Return the figure that *percent* of all do not exceed."""
    ordered = sorted(figures)
    return ordered[-(-len(ordered) * percent // 100) - 1]


def environment() -> dict[str, str]:
    """Return the environment of a user: byte code is kept, and nothing is configured."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("ONEIRIC_")
    }


def in_child(module: str, function: str, *arguments: object) -> dict[str, float]:
    """Call a function of figures in a fresh process, and return what it returns."""
    call = f"{function}({', '.join(map(repr, arguments))})"
    code = f"import json; from {module} import {function}; print(json.dumps({call}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def child_ms(command: Sequence[str], folder: str, path: str) -> tuple[float, float]:
    """Return the milliseconds a whole process took: by the clock, and of CPU time.

    Raises:
        CalledProcessError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        env=environment() | {"PYTHONPATH": path},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    spent = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return spent * 1e3, cpu * 1e3
