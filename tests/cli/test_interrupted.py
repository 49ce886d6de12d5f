"""Ctrl-C while the program is still being imported, or only looks."""

import signal
from pathlib import Path

import pytest

from tests.acceptance.commands import run

PROGRAM = """
import signal, sys
from importlib.abc import MetaPathFinder

class Named:
    def __set_name__(self, owner, name):
        signal.raise_signal(signal.SIGINT)

class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            type("Made", (), {{"named": Named()}})

sys.meta_path.insert(0, Finder())
sys.argv = ["oneiric", *{words!r}]
from oneiric.cli.__main__ import run
run()
"""


@pytest.mark.parametrize(
    ("module", "code"), [("oneiric.cli.app", -signal.SIGINT), ("oneiric.cli.inspect", 130)]
)
def test_promise_c2_ctrl_c_during_imports_prints_no_traceback(
    module: str, code: int, tmp_path: Path
) -> None:
    """Not even where a class is just made, which Python 3.11 tells as a mistake of that class."""
    program = PROGRAM.format(module=module, words=["plugins"])
    assert tuple(run("-c", program, folder=tmp_path)) == (code, "", "")


@pytest.mark.parametrize("look", ["--events", "--print-dag"])
def test_defect_ctrl_c_ends_a_look_at_what_an_orchestrator_would_have(
    look: str, tmp_path: Path
) -> None:
    """Nothing is served, so nothing is drained: it is cut short, however long a source takes."""
    program = PROGRAM.format(module="oneiric.runtime.serving", words=["orchestrate", look])
    assert tuple(run("-c", program, folder=tmp_path)) == (130, "", "")
