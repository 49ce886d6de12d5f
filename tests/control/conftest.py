"""A folder in which an orchestrator runs, in a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from oneiric.cli.app import main
from tests.cli.calls import Call, Given
from tests.control.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Return a folder of the test's own, where an orchestrator can be started."""
    made = House(tmp_path)
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return a folder in which one runs for all tests of a module."""
    made = House(tmp_path_factory.mktemp("shared"))
    made.start()
    yield made
    made.end()


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a caller of `oneiric` in the working directory."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> Given:
        monkeypatch.setattr("sys.argv", ["oneiric", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        return int(caught.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def live(shared: House, call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a caller of `oneiric` in the folder in which one runs."""
    monkeypatch.chdir(shared.folder)
    return call


@pytest.fixture
def here(house: House, call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a caller of `oneiric` in a folder of the test's own."""
    monkeypatch.chdir(house.folder)
    return call
