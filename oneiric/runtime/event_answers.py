"""What commands about events answer, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.domains.events import HandlerOutcome
from oneiric.runtime.answer import page, table

if TYPE_CHECKING:
    from oneiric.domains.events import (
        Event,
        EventHandler,
        HandlerResult,
        InvalidHandlerError,
        Replay,
    )
    from oneiric.errors import JSONValue
    from oneiric.ports.dead_letters import DeadLetter

FAILED, REFUSED = 1, 3


@dataclass(frozen=True, slots=True)
class Emission:
    """An event that was dispatched, and what came of it."""

    event: Event
    matched: int
    results: tuple[HandlerResult, ...]
    applied: str = "local"

    @property
    def exit_code(self) -> int:
        """0 when nobody missed the event, 3 when only paused handlers did, else 1."""
        return _exit_code(self.results)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.event-emit/1`."""
        return {
            "schema": "oneiric.event-emit/1",
            "applied": self.applied,
            "topic": self.event.topic,
            "id": self.event.id,
            "matched_handlers": self.matched,
            "results": [result.as_json() for result in self.results],
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a row for what came of each handler."""
        rows = [
            (
                each.handler,
                each.outcome,
                each.attempts,
                f"{each.duration_ms:.1f}",
                each.error or each.value,
                each.letter or "-",
            )
            for each in self.results
        ]
        headers = ("handler", "outcome", "attempts", "ms", "value or error", "dead letter")
        topic, empty = self.event.topic, f"no handler wants {self.event.topic}"
        told = table(headers, rows, columns=columns, empty=empty)
        return page(f"{self.applied}: {topic}, id {self.event.id}\n", told)


@dataclass(frozen=True, slots=True)
class HandlerListing:
    """Every handler in order, and the offers whose metadata nobody can follow."""

    handlers: tuple[EventHandler, ...]
    problems: tuple[InvalidHandlerError, ...]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.event-list/1`."""
        return {
            "schema": "oneiric.event-list/1",
            "handlers": [handler.as_json() for handler in self.handlers],
            "problems": [problem.as_json()["error"] for problem in self.problems],
        }


@dataclass(frozen=True, slots=True)
class LetterListing:
    """Every dead letter, oldest first."""

    letters: tuple[DeadLetter, ...]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.dead-letters/1`."""
        return {
            "schema": "oneiric.dead-letters/1",
            "dead_letters": [letter.as_json() for letter in self.letters],
        }


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """What came of each dead letter that was to be replayed."""

    replays: tuple[Replay, ...]
    applied: str = "local"

    @property
    def exit_code(self) -> int:
        """0 when every letter is settled, 3 when only paused handlers missed theirs, else 1."""
        if any(replay.problem for replay in self.replays):
            return FAILED
        return _exit_code([result for replay in self.replays for result in replay.results])

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.dead-letters-replay/1`."""
        return {
            "schema": "oneiric.dead-letters-replay/1",
            "applied": self.applied,
            "replays": [replay.as_json() for replay in self.replays],
        }


def _exit_code(results: tuple[HandlerResult, ...] | list[HandlerResult]) -> int:
    missed = {result.outcome for result in results if result.is_missed}
    if not missed:
        return 0
    return REFUSED if missed == {HandlerOutcome.DEFERRED} else FAILED
