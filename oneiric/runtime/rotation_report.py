"""What a rotation of secrets did, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oneiric.text.layout import paragraph

if TYPE_CHECKING:
    from oneiric.core.swap import SwapReport
    from oneiric.errors import JSONValue, OneiricError


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationFailure:
    """A secret that was not read, or a component that goes on with an old one; and why."""

    error: OneiricError
    key: str = ""
    ref: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"key", "ref", "error"}`, one of the first two being null."""
        return {
            "key": self.key or None,
            "ref": self.ref or None,
            "error": self.error.as_json()["error"],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationReport:
    """Which secrets were read anew, which had another value, and what became of who uses them.

    `changed` says of each that was read whether anything had another value of it before; the
    values are nowhere. `deferred` take no work at present, and are swapped when they do again.
    """

    keys: tuple[str, ...]
    applied: str
    invalidated: int = 0
    changed: Mapping[str, bool] = field(default_factory=dict)
    swapped: tuple[SwapReport, ...] = ()
    deferred: tuple[str, ...] = ()
    failed: tuple[RotationFailure, ...] = ()
    note: str = ""

    @property
    def exit_code(self) -> int:
        """0, but 1 where something failed."""
        return 1 if self.failed else 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.secret-rotation/1`."""
        return {
            "schema": "oneiric.secret-rotation/1",
            "applied": self.applied,
            "keys": list(self.keys),
            "invalidated": self.invalidated,
            "changed": dict(self.changed),
            "swapped": [
                {
                    "ref": str(each.ref),
                    "before": each.before,
                    "after": each.after,
                    "generation": each.generation,
                    "duration_ms": round(each.duration_ms, 3),
                }
                for each in self.swapped
            ],
            "deferred": list(self.deferred),
            "failed": [each.as_json() for each in self.failed],
            "note": self.note,
        }

    def render(self, *, columns: int, colour: bool = False) -> str:
        """Return the report as lines of text, at most *columns* wide where that can be."""
        lines = [f"{self.applied}: {self.note or f'{_counted(self.invalidated)} forgotten'}"]
        words = {True: "changed", False: "unchanged"}
        lines += [f"  {key}  {words[is_new]}" for key, is_new in self.changed.items()]
        lines += [each.render() for each in self.swapped]
        lines += [f"{ref}  takes no work now; swapped when it does" for ref in self.deferred]
        for error in (each.error for each in self.failed):
            lines += [f"failed: {error.message}", *(f"  {line}" for line in error.lines())]
        return "\n".join(part for line in lines for part in _fitted(line, columns))


def _counted(count: int) -> str:
    return f"{count} secret{'' if count == 1 else 's'}"


def _fitted(line: str, columns: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    if len(line) <= columns or "\n" in line:
        return [line]
    return paragraph(line, max(columns, 20), first=indent, then=f"{indent}  ")
