"""The plugin that others copy: it copies as its README says, and leans on what is public only."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.architecture.source import ROOT, Module

EXAMPLE = ROOT / "examples" / "plugin"
FRONT_DOORS = ("oneiric", "oneiric.ports")


def test_it_imports_public_names_only() -> None:
    """Only `oneiric` and `oneiric.ports`, and of them only what `__all__` promises."""
    files = [*EXAMPLE.glob("src/*/*.py"), *EXAMPLE.glob("tests/*.py")]
    imports = [
        found
        for file in files
        for found in Module(file.relative_to(ROOT).as_posix(), file.read_text()).imports
        if found.target.partition(".")[0] == "oneiric"
    ]
    promised = {
        f"{door}.{name}" for door in FRONT_DOORS for name in importlib.import_module(door).__all__
    }

    assert len(imports) > 10
    assert {found.target for found in imports} - promised == set()


def test_it_is_whole() -> None:
    """A copy needs nothing from the repository around it."""
    needed = ("LICENSE", "README.md", "pyproject.toml", "src/oneiric_example/py.typed")

    assert [name for name in needed if not (EXAMPLE / name).is_file()] == []


def test_a_copy_that_is_renamed_as_the_readme_says_passes_its_tests(tmp_path: Path) -> None:
    """The README's own lines, without those that install."""
    block = re.search(r"```console\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    assert block is not None
    lines = re.sub(r"^\$ ", "", block[1].replace("/path/to/oneiric", str(ROOT)), flags=re.MULTILINE)
    script = f"set -e\n{lines[: lines.index('python3 -m venv')]}\n{sys.executable} -m pytest -q"
    environment = {**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}

    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    texts = [f for f in (tmp_path / "my-plugin").rglob("*") if f.suffix in (".py", ".md", ".toml")]
    left = [file.name for file in texts if "oneiric_example" in file.read_text()]
    assert (left, len(texts) >= 7) == ([], True)
