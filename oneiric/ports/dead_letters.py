"""Keep what could not be delivered until somebody replays it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from oneiric.errors import JSONValue


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that one handler did not handle: which, to whom, and why.

    `event` is in the JSON format of CloudEvents; times are RFC 3339 in UTC. While somebody
    replays the letter, `claimed_until` says how long it is theirs.
    """

    id: str
    handler: str
    event: Mapping[str, JSONValue]
    reason: str
    error: str
    attempts: int
    at: str
    claimed_until: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return every field, by its name."""
        return {
            "id": self.id,
            "handler": self.handler,
            "event": dict(self.event),
            "reason": self.reason,
            "error": self.error,
            "attempts": self.attempts,
            "at": self.at,
            "claimed_until": self.claimed_until,
        }


class DeadLetters(Protocol):
    """Keep dead letters, oldest first; a letter is claimed by one replayer at a time."""

    async def add(self, letter: DeadLetter) -> None:
        """Keep *letter*, in place of one with the same id; nobody's claim is left on it.

        Raises:
            UnavailableError: it is not kept.
        """
        ...

    async def letters(self) -> Sequence[DeadLetter]:
        """Return every letter, oldest first."""
        ...

    async def claim(self, letter_id: str, *, now: str, until: str) -> DeadLetter | None:
        """Claim a letter and return it; None if there is none, or another's claim lasts."""
        ...

    async def remove(self, letter_id: str) -> bool:
        """Forget a letter, and tell whether there was one."""
        ...
