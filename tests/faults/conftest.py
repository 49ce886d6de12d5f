"""A folder to work in; and tell at the end how many faults were met, and what was found after."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.faults.work_folder import Folder

TOLD = pytest.StashKey[list[str]]()
Tell = Callable[[Mapping[str, object]], None]


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Give what adds a line of counts to the summary of the tests."""
    lines = request.config.stash.setdefault(TOLD, [])

    def add(counts: Mapping[str, object]) -> None:
        figures = ", ".join(f"{value} {name}" for name, value in counts.items())
        lines.append(f"{request.node.name}: {figures}")

    return add


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder; what was started in it is ended with the test."""
    found = Folder(tmp_path)
    yield found
    for child in found.started:
        if child.poll() is None:
            child.kill()
        child.communicate()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write the counts."""
    for line in config.stash.get(TOLD, []):
        terminalreporter.write_line(line)
