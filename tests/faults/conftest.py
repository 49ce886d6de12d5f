"""Tell at the end how many faults were met, and what was found after them."""

from collections.abc import Callable, Mapping

import pytest

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


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write the counts."""
    for line in config.stash.get(TOLD, []):
        terminalreporter.write_line(line)
