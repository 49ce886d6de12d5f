"""What only a running orchestrator answers, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.runtime.answer import page

if TYPE_CHECKING:
    from oneiric.core.health import HealthReport
    from oneiric.errors import JSONValue
    from oneiric.runtime.health import RuntimeHealthSnapshot
    from oneiric.runtime.watchers import WatchStatus

UNHEALTHY = 1


@dataclass(frozen=True, slots=True)
class Ping:
    """Who answers: which process, since when, of which configuration, and whether it is ready.

    `problems` are in the way of that.
    """

    pid: int
    version: str
    since: str
    folder: str
    config: str
    profile: str
    problems: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Always 0: it answers."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.ping/1`."""
        return {
            "schema": "oneiric.ping/1",
            "applied": "live",
            "pid": self.pid,
            "version": self.version,
            "since": self.since,
            "folder": self.folder,
            "config": self.config or None,
            "profile": self.profile,
            "ready": not self.problems,
            "problems": list(self.problems),
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return who answers, and what is in the way of it."""
        state = "is not ready" if self.problems else "is ready"
        head = f"live: oneiric {self.version}, process {self.pid}, since {self.since}, {state}"
        return page(head, *(f"  {problem}" for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Standing:
    """How the orchestrator stands at this moment, as its health file says every few seconds."""

    snapshot: RuntimeHealthSnapshot

    @property
    def exit_code(self) -> int:
        """Always 0: who asks judges."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.runtime-health/1`."""
        told = self.snapshot.as_json()
        return {"schema": told["schema"], "applied": "live", **told}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return its state and that of each part."""
        parts = [f"  {part.name}: {part.state}" for part in self.snapshot.parts]
        return page(f"live: process {self.snapshot.pid} is {self.snapshot.state}", *parts)


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What a component said of its health."""

    ref: str
    report: HealthReport

    @property
    def exit_code(self) -> int:
        """0, or 1 for one that is not healthy."""
        return 0 if self.report.healthy else UNHEALTHY

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.probe/1`."""
        return {
            "schema": "oneiric.probe/1",
            "applied": "live",
            "ref": self.ref,
            **self.report.as_json(),
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return whether it is healthy, and what it said."""
        state = "healthy" if self.report.healthy else "unhealthy"
        detail = f": {self.report.detail}" if self.report.detail else ""
        return page(f"live: {self.ref} is {state}{detail}")


@dataclass(frozen=True, slots=True)
class ReloadAnswer:
    """Whether the configuration was read anew, and how the watcher of its file stands."""

    status: WatchStatus

    @property
    def exit_code(self) -> int:
        """0, or what the error ends with that keeps the file from being in force."""
        return self.status.error.exit_code if self.status.error is not None else 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.reload/1`."""
        return {"schema": "oneiric.reload/1", "applied": "live", **self.status.as_json()}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return what is in force, and what counts only later."""
        file, error = self.status.file or "the environment", self.status.error
        if error is not None:
            return page("live: the last good configuration holds", error.render())
        later = ", ".join(self.status.awaiting_restart)
        return page(
            f"live: {file} is in force",
            f"after a restart only: {later}" if later else "",
            *(f"when it takes work again: {ref}" for ref in self.status.deferred),
        )


@dataclass(frozen=True, slots=True)
class StopAnswer:
    """That the orchestrator will end."""

    pid: int

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.stop-request/1`."""
        return {"schema": "oneiric.stop-request/1", "applied": "live", "pid": self.pid}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return which process ends."""
        return page(f"live: the orchestrator, process {self.pid}, drains and ends")
