"""A folder with scriptlets and recipes of its own, in which tests run what users would write."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

SCRIPTLETS = '''
import json
import pathlib

from oneiric.recipes import BaseScriptlet


class Write(BaseScriptlet):
    """Write `value` to `key`."""

    def validate(self, ctx, params):
        if "key" not in params:
            raise ValueError("missing key")

    def run(self, ctx, params):
        ctx.set(params["key"], params.get("value"), who="write")
        print(json.dumps({"status": "ok", "outputs": [params["key"]]}))
        return 0


class Log(BaseScriptlet):
    """Note the call in the file `log`, and write `value` to `key`; fail while `fail` is there."""

    def run(self, ctx, params):
        with open(params.get("log", "log"), "a") as file:
            file.write(params["key"] + chr(10))
        if pathlib.Path(params.get("fail", "nothing")).exists():
            print(json.dumps({"status": "error", "reason": "told to", "exit_code": 7}))
            return 1
        ctx.set(params["key"], params.get("value"), who="log")
        print(json.dumps({"status": "ok", "outputs": [params["key"]]}))
        return 0


class Fail(BaseScriptlet):
    """Write something, and then say that it failed."""

    def run(self, ctx, params):
        ctx.set("half.done_v1", True, who="fail")
        line = {"status": "error", "reason": "no luck", "exit_code": 1, "step": "fail"}
        print(json.dumps(line))
        return 1
'''


class Desk:
    """Write files into a folder that is the working directory of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        """Put a file there, its text dedented, and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    @property
    def log(self) -> list[str]:
        """What the steps of the class `Log` have noted."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8").split() if path.exists() else []


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A working directory whose module `steps` holds scriptlets; imports are undone after."""
    monkeypatch.chdir(tmp_path)
    _forget_other_desks()
    found = Desk(tmp_path)
    found.write("steps.py", SCRIPTLETS)
    known, path = set(sys.modules), list(sys.path)
    yield found
    sys.path[:] = path
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def _forget_other_desks() -> None:
    """Let no module of the same name be found that an example or a benchmark has left."""
    sys.path[:] = [path for path in sys.path if not _is_left(path)]
    for name, module in list(sys.modules.items()):
        if _is_left(str(getattr(module, "__file__", None) or "")):
            del sys.modules[name]


def _is_left(path: str) -> bool:
    """Tell whether a path lies in a folder of another test, and not in the house's own."""
    own = (str(Path(__file__).parents[2]), sys.prefix, sys.base_prefix)
    return path.startswith(tempfile.gettempdir()) and not path.startswith(own)
