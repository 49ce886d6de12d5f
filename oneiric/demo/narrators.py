"""Show the story: moving at a terminal, as plain lines elsewhere, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

if TYPE_CHECKING:
    from oneiric.demo.load import Load


class SilentNarrator:
    """Show nothing; the report is printed as JSON."""

    def say(self, text: str) -> None:
        """Ignore the text."""

    def watch(self, load: Load, serving: Callable[[], str]) -> None:
        """Ignore the load."""


class PlainNarrator:
    """Print each line as it comes."""

    def __init__(self, print_line: Callable[[str], object]) -> None:
        self._print_line = print_line

    def say(self, text: str) -> None:
        """Print the text."""
        self._print_line(text)

    def watch(self, load: Load, serving: Callable[[], str]) -> None:
        """Print nothing more: lines that change are for terminals."""


class LiveNarrator:
    """Print lines, and below them a line that counts calls while they are made."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live: Live | None = None

    def say(self, text: str) -> None:
        """Print the text above the moving line."""
        self._console.print(text, markup=False)

    def watch(self, load: Load, serving: Callable[[], str]) -> None:
        """Start the moving line."""
        spinner = Spinner("dots")

        def frame() -> Table:
            row = Table.grid(padding=(0, 1))
            failed = f"{len(load.failures)} failed"
            row.add_row(spinner, f"{load.total:>10,} calls", failed, f"served by {serving()}")
            return row

        self._live = Live(
            get_renderable=frame, console=self._console, refresh_per_second=12, transient=True
        )
        self._live.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
