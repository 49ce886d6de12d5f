"""What a command costs as a whole process, beside a Typer app that does nothing."""

import shutil
import sys
import tempfile
from pathlib import Path

from tests.architecture.source import ROOT
from tests.benchmarks.measure import Row, Size, child_ms

SAMPLE = ROOT / "docs" / "sample_remote_manifest.yaml"
BARE = '''\
import typer

app = typer.Typer()


@app.command()
def one(name: str = "") -> None:
    """Do one thing."""


@app.command()
def two(name: str = "") -> None:
    """Do another thing."""
'''
LAUNCH = "import sys; from {module} import {name}; sys.argv[0] = 'bench'; {name}()"


def _command(module: str, name: str, *arguments: str) -> list[str]:
    """Return the command that does what a console script does."""
    return [sys.executable, "-c", LAUNCH.format(module=module, name=name), *arguments]


def commands(size: Size) -> list[Row]:
    """Measure `--help` and `list` by turns with the help of a bare app, in a folder apart."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bare_typer_app.py").write_text(BARE)
        shutil.copy(SAMPLE, Path(folder) / SAMPLE.name)
        source = f'[remote.sources.sample]\nuri = "{SAMPLE.name}"\n'
        (Path(folder) / "with.toml").write_text(source)
        return _rows(folder, size)


def _rows(folder: str, size: Size) -> list[Row]:
    subjects = {
        "floor": _command("bare_typer_app", "app", "--help"),
        "oneiric --help": _command("oneiric.cli.app", "main", "--help"),
        "oneiric list": _command("oneiric.cli.app", "main", "list"),
        "oneiric list, with a manifest": _command(
            "oneiric.cli.app", "main", "--config", "with.toml", "list"
        ),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for number in range(size.processes + 1):
        for name, command in subjects.items():
            figures = child_ms(command, folder, folder)
            if number:  # the first round writes the byte code
                found[name].append(figures)
    clock = {name: min(took for took, _ in figures) for name, figures in found.items()}
    cpu = {name: min(took for _, took in figures) for name, figures in found.items()}
    names = [name for name in subjects if name != "floor"]
    return [
        *(Row(name, cpu[name], "ms", cpu["floor"]) for name in names),
        *(Row(f"{name}, by the clock", clock[name], "ms", clock["floor"]) for name in names),
    ]
