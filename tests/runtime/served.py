"""A folder with components of which it is known whether they are open, put to work."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.documents import parse
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.serving import ServeOptions, Serving
from oneiric.runtime.serving_parts import PARTS


class Desk:
    """A service that knows whether it is open."""

    opened: list["Desk"] = []  # noqa: RUF012  of all tests, each of which empties it

    def init(self) -> None:
        Desk.opened.append(self)

    def cleanup(self) -> None:
        Desk.opened.remove(self)


class Fussy(Desk):
    """One that cannot be closed."""

    def cleanup(self) -> None:
        super().cleanup()
        raise OSError("it jams")


OFFERS = Plugin(
    [
        Candidate("service:desk", "oak", Desk, priority=1),
        Candidate("service:desk", "fussy", Fussy),
    ]
)


def opened(folder: Path) -> RuntimeOrchestrator:
    """Return a runtime of *folder* that loads no plugins of others."""
    return RuntimeOrchestrator.open(folder=folder, plugins=(OFFERS,))


def serving(folder: Path, *, parts: Sequence[Any] = PARTS, **options: Any) -> Serving:
    """Return an orchestrator of *folder*, not begun."""
    return Serving(opened(folder), ServeOptions(**options), parts=parts)


def told(folder: Path) -> Any:
    """Return the health that was written last."""
    return parse((folder / ".oneiric_cache" / "runtime_health.json").read_bytes(), "json")


def failing(phase: str) -> Callable[[Serving], Any]:
    """Return what makes a part that fails when it starts, or when it ends."""

    @asynccontextmanager
    async def part(_: Serving) -> AsyncIterator[None]:
        if phase == "start":
            raise ConnectionError("no line")
        yield
        raise ConnectionError("no line any more")

    return part
