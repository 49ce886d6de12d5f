"""What tests of the command line call it with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from oneiric.cli.app import main
from tests.acceptance.production import Production, serving
from tests.cli.calls import Call, Given
from tests.cli.places import Place


@pytest.fixture
def call(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Call:
    """Return a caller of `oneiric` in *tmp_path*; a module's `BEFORE` stands before its words.

    The terminal has the `COLUMNS` of the module, else 80.
    """
    before: tuple[str, ...] = getattr(request.module, "BEFORE", ())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", getattr(request.module, "COLUMNS", "80"))

    def run(*arguments: str) -> Given:
        monkeypatch.setattr("sys.argv", ["oneiric", *before, *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        return int(caught.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def production() -> Iterator[Production]:
    """Production, which is well."""
    with serving() as found:
        yield found


@pytest.fixture
def place(tmp_path: Path, production: Production) -> Place:
    """Return a folder with the file that names production."""
    return Place(tmp_path, production)
