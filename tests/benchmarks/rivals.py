"""Measure journaled steps beside LangGraph and DBOS: `python -m tests.benchmarks.rivals`.

They are installed from the package index into an environment of their own, `.venv-rivals`, in
the versions of `rivals.txt`. Nothing else of this repository needs them, and no test does.
"""

import argparse
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import ROOT
from tests.benchmarks.measure import environment, median
from tests.benchmarks.run import machine

SCHEMA = "oneiric.rivals/1"
FOLDER = ROOT / ".venv-rivals"
PINNED = Path(__file__).with_name("rivals.txt")
QUIET = {"LANGSMITH_TRACING": "false"}
HEADERS = ("beside", "theirs", "ours", "ratio", "from", "to", "aim", "met", "theirs is", "ours is")


@dataclass(frozen=True, slots=True)
class Pair:
    """A rival in a mode, the mode of ours that promises as much, and the ratio to aim for."""

    rival: str
    what: str
    theirs: str
    ours: str
    aim: float


PAIRS = (
    Pair("langgraph", "LangGraph, as it comes", "default", "full", 2),
    Pair("langgraph", "LangGraph, power-loss", "full", "full", 2),
    Pair("langgraph", "LangGraph, kill", "normal", "normal", 2),
    Pair("dbos", "DBOS, as it comes", "default", "full", 4),
    Pair("dbos", "DBOS, power-loss", "full", "full", 4),
    Pair("dbos", "DBOS, kill", "normal", "normal", 4),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one process found: steps a second, how SQLite was set, and rows for each step."""

    rate: float
    settings: str
    rows: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was found of a pair: each round gives one run of theirs and one of ours."""

    pair: Pair
    theirs: Sequence[Run]
    ours: Sequence[Run]

    @property
    def ratios(self) -> list[float]:
        """How many times as fast ours was, by rounds; a round takes place in one minute."""
        return [
            ours.rate / theirs.rate for theirs, ours in zip(self.theirs, self.ours, strict=True)
        ]

    def as_json(self) -> dict[str, object]:
        """Return the medians, the ratios they come from, and whether the aim is met."""
        return {
            "beside": self.pair.what,
            "theirs": {"rate": median([run.rate for run in self.theirs]), **_set(self.theirs)},
            "ours": {"rate": median([run.rate for run in self.ours]), **_set(self.ours)},
            "unit": "/s",
            "ratio": median(self.ratios),
            "ratios": self.ratios,
            "aim": self.pair.aim,
            "met": median(self.ratios) >= self.pair.aim,
        }

    def cells(self) -> tuple[str, ...]:
        """Return a line of the table."""
        ratio = median(self.ratios)
        return (
            self.pair.what,
            f"{median([run.rate for run in self.theirs]):,.0f} /s",
            f"{median([run.rate for run in self.ours]):,.0f} /s",
            *(f"{each:.2f}" for each in (ratio, min(self.ratios), max(self.ratios))),
            f">= {self.pair.aim:g}",
            "yes" if ratio >= self.pair.aim else "no",
            self.theirs[0].settings,
            self.ours[0].settings,
        )


def _set(runs: Sequence[Run]) -> dict[str, object]:
    return {"settings": runs[0].settings, "rows": runs[0].rows}


def rivals_python() -> Path:
    """Return the Python that has the rivals; it is made anew when the versions have changed.

    Raises:
        SystemExit: they cannot be installed.
    """
    python, stamp = FOLDER / "bin" / "python", FOLDER / "stamp"
    wanted = f"{sys.version}\n{PINNED.read_text()}"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    sys.stderr.write(f"making {FOLDER.name}\n")
    shutil.rmtree(FOLDER, ignore_errors=True)
    venv.create(FOLDER, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, "-r", str(PINNED)], cwd=ROOT, check=False).returncode:
        alone = "python -m tests.benchmarks.with_oneiric full 100 10"
        raise SystemExit(f"error: the rivals cannot be installed; ours alone: {alone}")
    stamp.write_text(wanted)
    return python


def run(python: str, contender: str, mode: str, steps: int, runs: int) -> Run:
    """Let *contender* compete in a fresh process.

    Raises:
        CalledProcessError: it failed, and has told why.
    """
    module = f"tests.benchmarks.with_{contender}"
    done = subprocess.run(
        [python, "-m", module, mode, str(steps), str(runs)],
        cwd=ROOT,
        env=environment() | QUIET,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Run(**json.loads(done.stdout))


def contest(python: Path, steps: int, runs: int, rounds: int) -> list[Result]:
    """Measure every pair once, theirs and ours in turn, then every one again, *rounds* times."""
    found: list[tuple[list[Run], list[Run]]] = [([], []) for _ in PAIRS]
    for number in range(rounds):
        sys.stderr.write(f"round {number + 1} of {rounds}\n")
        for pair, (theirs, ours) in zip(PAIRS, found, strict=True):
            sides = [
                (theirs, str(python), pair.rival, pair.theirs),
                (ours, sys.executable, "oneiric", pair.ours),
            ]
            for kept, by, contender, mode in sides[:: -1 if number % 2 else 1]:
                kept.append(run(by, contender, mode, steps, runs))
    return [Result(pair, *both) for pair, both in zip(PAIRS, found, strict=True)]


def versions() -> dict[str, str]:
    """Return the versions of the rivals that are measured."""
    pinned = (line.partition("==") for line in PINNED.read_text().splitlines())
    return {name: version for name, _, version in pinned if name.startswith(("dbos", "langgraph"))}


def table(results: Iterable[Result]) -> list[str]:
    """Return the results as lines of text in columns."""
    cells = [HEADERS, *(result.cells() for result in results)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Install the rivals if need be, measure, and print; the exit code is 0 whoever is faster."""
    parser = argparse.ArgumentParser(prog="rivals", description="Measure beside other engines.")
    parser.add_argument("--steps", type=int, default=100, help="steps of a run")
    parser.add_argument("--runs", type=int, default=10, help="runs one after another")
    parser.add_argument("--rounds", type=int, default=7, help="how often each pair is measured")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args(arguments)
    results = contest(rivals_python(), given.steps, given.runs, given.rounds)
    if given.json:
        asked = {"steps": given.steps, "runs": given.runs, "rounds": given.rounds}
        document = {
            "schema": SCHEMA,
            "machine": machine(),
            "versions": versions(),
            **asked,
            "rows": [result.as_json() for result in results],
        }
        lines = [json.dumps(document, indent=2)]
    else:
        lines = [*table(results), "", *(f"{name} {each}" for name, each in versions().items())]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
