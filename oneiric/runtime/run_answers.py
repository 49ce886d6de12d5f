"""What commands about runs answer, as data; `as_json` is what `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from oneiric.runs.state import RunState
from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from pathlib import Path

    from oneiric.errors import JSONValue
    from oneiric.runs.journal import RunRecord
    from oneiric.runs.run import Run
    from oneiric.stores.upkeep import JournalCheck

FAILED, WAITING = 1, 4


def state_of(run: Run) -> str:
    """Return how a run stands: a state, or `waiting` where only somebody outside can go on."""
    waiting = run.state is RunState.RUNNING and run.is_waiting
    return "waiting" if waiting else str(run.state)


def exit_code_of(run: Run) -> int:
    """Return 0 for a run that succeeded, 4 for one that waits, else 1."""
    return {"succeeded": 0, "waiting": WAITING}.get(state_of(run), FAILED)


@dataclass(frozen=True, slots=True)
class RunListing:
    """Runs, the newest first; `has_more` tells that there are older ones."""

    records: tuple[RunRecord, ...]
    has_more: bool

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.runs/1`."""
        return {
            "schema": "oneiric.runs/1",
            "has_more": self.has_more,
            "runs": [
                {
                    "run_id": record.run_id,
                    "name": record.name,
                    "state": str(record.state),
                    "created_at": record.created_at,
                    "updated_at": record.updated_at,
                    "events": record.last_seq,
                    "holder": record.holder,
                    "held": record.is_held,
                }
                for record in self.records
            ],
        }


@dataclass(frozen=True, slots=True)
class RunTold:
    """What was told to a run: by which verb, where it took effect, and who heeds it.

    `applied` is `live` where a process that holds the run heeds it, `stored` where whoever
    takes the run up next will, `local` where it was done here. `is_awaited` tells whether a
    step waits for the signal.
    """

    run_id: str
    verb: str
    applied: str
    signal: str = ""
    step: str = ""
    is_awaited: bool | None = None

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.run-told/1`."""
        return {
            "schema": "oneiric.run-told/1",
            "run_id": self.run_id,
            "verb": self.verb,
            "applied": self.applied,
            "signal": self.signal,
            "step": self.step,
            "awaited": self.is_awaited,
        }


@dataclass(frozen=True, slots=True)
class RunCarried:
    """A run that was gone on with, or opened again, by which verb and where.

    `applied` is `local` where it was carried on in this process, `stored` where it was opened
    for whoever takes it up next.
    """

    run: Run
    verb: str
    applied: str

    @property
    def exit_code(self) -> int:
        """0 for a run that succeeded or was left to others, 4 for one that waits, else 1."""
        return 0 if self.applied == "stored" else exit_code_of(self.run)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.run-carried/1`, its secrets masked."""
        found: dict[str, JSONValue] = {
            "schema": "oneiric.run-carried/1",
            "run_id": self.run.run_id,
            "verb": self.verb,
            "applied": self.applied,
            "name": self.run.plan.name,
            "state": state_of(self.run),
            "results": self.run.results,
            "error": self.run.error,
            "steps": {name: str(step.state) for name, step in self.run.steps.items()},
        }
        return cast("dict[str, JSONValue]", redacted(found))


@dataclass(frozen=True, slots=True)
class Pruning:
    """How many runs were deleted, or with a dry run would be."""

    ended_before: str
    keep: int
    runs: int
    dry_run: bool

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.run-prune/1`."""
        return {
            "schema": "oneiric.run-prune/1",
            "ended_before": self.ended_before,
            "keep": self.keep,
            "runs": self.runs,
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the state database: where it is, and its size."""

    path: Path
    size: int

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.run-backup/1`."""
        return {"schema": "oneiric.run-backup/1", "path": str(self.path), "bytes": self.size}


@dataclass(frozen=True, slots=True)
class Soundness:
    """What a check of the state database found."""

    path: Path
    found: JournalCheck

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.run-check/1`."""
        return {
            "schema": "oneiric.run-check/1",
            "path": str(self.path),
            "sound": self.found.is_sound,
            "runs": self.found.runs,
            "events": self.found.events,
            "problems": list(self.found.problems),
        }
