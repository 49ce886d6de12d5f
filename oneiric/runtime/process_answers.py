"""What commands about the process of an orchestrator answer, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.runtime.lock import Holder

_NOT_FOUND = 6


@dataclass(frozen=True, slots=True)
class StartAnswer:
    """An orchestrator that was begun in the background, and is ready."""

    pid: int
    duration_ms: float
    addresses: Mapping[str, JSONValue]
    log: str
    exit_code: int = 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.start/1`."""
        return {
            "schema": "oneiric.start/1",
            "applied": "live",
            "pid": self.pid,
            "ready": True,
            "duration_ms": round(self.duration_ms, 3),
            "addresses": dict(self.addresses),
            "log": self.log,
        }

    def render(self, *, columns: int, colour: bool = False) -> str:
        """Return it in a line."""
        at = "".join(f", {name} {where}" for name, where in self.addresses.items())
        return f"started: process {self.pid} is ready{at}; it logs to {self.log}"


@dataclass(frozen=True, slots=True)
class StopAnswer:
    """An orchestrator that was told to end and has ended, or that there was none."""

    pid: int = 0
    duration_ms: float = 0.0
    exit_code: int = 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.stop/1`."""
        return {
            "schema": "oneiric.stop/1",
            "applied": "live" if self.pid else None,
            "pid": self.pid or None,
            "duration_ms": round(self.duration_ms, 3),
        }

    def render(self, *, columns: int, colour: bool = False) -> str:
        """Return it in a line."""
        if not self.pid:
            return "no orchestrator runs in this folder"
        return f"stopped: process {self.pid} has ended after {self.duration_ms:.0f} ms"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """Which process is the orchestrator of the folder, and how it last said that it stands.

    `told` is the newest health that any wrote, `stale` why that is not of today.
    """

    holder: Holder | None
    told: Mapping[str, JSONValue] | None = field(default=None, repr=False)
    stale: str = ""

    @property
    def exit_code(self) -> int:
        """0 where one runs, else 6."""
        return 0 if self.holder else _NOT_FOUND

    @property
    def is_of_holder(self) -> bool:
        """Whether the process that runs wrote the health."""
        own = self.told and self.holder and self.told.get("orchestrator_pid") == self.holder.pid
        return bool(own)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.process-status/1`."""
        told = self.told or {}
        return {
            "schema": "oneiric.process-status/1",
            "running": self.holder is not None,
            "pid": self.holder.pid if self.holder else None,
            "since": self.holder.since if self.holder else None,
            "state": told.get("state") if self.is_of_holder or not self.holder else None,
            "ready": bool(self.is_of_holder and told.get("ready") and not self.stale),
            "addresses": told.get("addresses", {}) if self.is_of_holder else {},
            "written_at": told.get("updated_at"),
            "stale": self.stale or None,
        }

    def render(self, *, columns: int, colour: bool = False) -> str:
        """Return it in a few lines."""
        late = f"\nstale: {self.stale}" if self.stale else ""
        if self.holder is None:
            return f"no orchestrator runs in this folder{late}"
        state = (self.told or {}).get("state") if self.is_of_holder else "unknown"
        return f"process {self.holder.pid} runs since {self.holder.since}: {state}{late}"
