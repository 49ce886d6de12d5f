"""Fuzz every door for a while: `python -m tests.fuzz.run`, as `make fuzz` does.

The fuzzer is installed from the package index into an environment of its own, `.venv-fuzz`;
nothing else of this repository needs it. The exit code is 1 when a door let an error through
that is not ours, took longer than ten seconds for one input, or more memory than a gigabyte.
What did that lies under `build/fuzz` and belongs into `tests/fuzz/corpus`.
"""

import argparse
import re
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.architecture.source import ROOT
from tests.fuzz.doors import CORPUS, DOORS

FOLDER = ROOT / ".venv-fuzz"
FUZZER = "atheris==3.0.0"
PINNED = ROOT / "constraints.txt"
WORK = ROOT / "build" / "fuzz"
LIMITS = ("-timeout=10", "-rss_limit_mb=1024", "-max_len=65536", "-print_final_stats=1")
WORDS = Path(__file__).with_name("words.txt")


def fuzzing_python() -> Path:
    """Return the Python that has the fuzzer; it is made anew when the versions have changed.

    Raises:
        SystemExit: the fuzzer cannot be installed.
    """
    python, stamp = FOLDER / "bin" / "python", FOLDER / "stamp"
    wanted = f"{sys.version}\n{FUZZER}\n{PINNED.read_text()}"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    sys.stderr.write(f"making {FOLDER.name}\n")
    venv.create(FOLDER, clear=True, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    given = [*pip, "-c", str(PINNED), FUZZER, "-e", str(ROOT)]
    if subprocess.run(given, check=False).returncode:
        raise SystemExit(f"error: {FUZZER} cannot be installed here")
    stamp.write_text(wanted)
    return python


def fuzz(python: Path, name: str, seconds: int) -> bool:
    """Fuzz a door, tell how often it was entered, and return whether it held."""
    found = WORK / name
    found.mkdir(parents=True, exist_ok=True)
    seeds = [str(each) for each in (found, CORPUS / name) if each.is_dir()]
    options = (*LIMITS, f"-max_total_time={seconds}", f"-dict={WORDS}")
    done = subprocess.run(
        [python, "-m", "tests.fuzz.child", name, *options, f"-artifact_prefix={found}-", *seeds],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    entered, megabytes = figures.get("number_of_executed_units"), figures.get("peak_rss_mb")
    told = "held" if done.returncode == 0 else f"did not hold\n{done.stderr[-4000:]}"
    sys.stdout.write(f"{name}: entered {entered} times, at most {megabytes} MB, {told}\n")
    sys.stdout.flush()
    return done.returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz the doors that were asked for, each for its part of the time."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Let a fuzzer look for faults.")
    parser.add_argument("--door", action="append", choices=list(DOORS), metavar="NAME")
    parser.add_argument("--seconds", type=int, default=600, help="for all of them together")
    given = parser.parse_args(arguments)
    names = given.door or list(DOORS)
    python = fuzzing_python()
    held = [fuzz(python, name, max(1, given.seconds // len(names))) for name in names]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
