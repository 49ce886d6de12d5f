"""The environment that `make` makes belongs to one interpreter and one folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import ROOT

PRETENDER = f"""#!/bin/sh
# Pretends to be a Python of its own: makes environments that do nothing.
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin"; touch "$3/pyvenv.cfg"; echo '#!/bin/sh' >"$3/bin/python"
             chmod +x "$3/bin/python" ;;
  "-c "*realpath*) echo "$0 3.12" ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with what `make` needs for an environment, and two interpreters."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    for name in ("one", "two"):
        (tmp_path / name).write_text(PRETENDER)
        (tmp_path / name).chmod(0o755)
    return folder


def made(folder: Path, python: str) -> bool:
    """Ask for the environment, and tell whether it had to be made."""
    done = subprocess.run(
        ["make", ".venv/.stamp", f"PYTHON={folder.parent / python}"],
        cwd=folder,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    return ".venv is ready" in done.stdout


def test_an_environment_is_made_once_for_an_interpreter(clone: Path) -> None:
    """Another interpreter gets another environment, with nothing left of the one before."""
    assert [made(clone, "one"), made(clone, "one")] == [True, False]
    (clone / ".venv" / "left").touch()

    assert [made(clone, "two"), made(clone, "two")] == [True, False]
    assert not (clone / ".venv" / "left").exists()


def test_a_moved_clone_makes_its_environment_anew(clone: Path, tmp_path: Path) -> None:
    """What is in `.venv/bin` names the old folder."""
    made(clone, "one")
    moved = clone.rename(tmp_path / "moved")

    assert [made(moved, "one"), made(moved, "one")] == [True, False]


def test_a_change_of_the_requirements_refreshes_it(clone: Path) -> None:
    """What is there stays."""
    made(clone, "one")
    (clone / ".venv" / "left").touch()
    stamp = (clone / ".venv" / ".stamp").stat().st_mtime
    os.utime(clone / "pyproject.toml", (stamp + 5, stamp + 5))

    assert made(clone, "one")
    assert (clone / ".venv" / "left").exists()


def test_clean_keeps_the_state_and_says_so(clone: Path) -> None:
    """Selections of swaps are nobody's build product."""
    (clone / ".oneiric_cache").mkdir()
    made(clone, "one")
    command = ["make", "clean", f"PYTHON={clone.parent / 'one'}"]

    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)

    assert not (clone / ".venv").exists()
    assert (clone / ".oneiric_cache").is_dir()
    assert "kept .oneiric_cache" in done.stdout
