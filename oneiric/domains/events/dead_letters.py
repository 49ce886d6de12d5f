"""Dead letters for as long as the process lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oneiric.errors import UnavailableError
from oneiric.ports.dead_letters import DeadLetter

CAPACITY = 10_000


class MemoryDeadLetters:
    """Keep letters in memory, and refuse more than there is room for."""

    __slots__ = ("_capacity", "_letters")

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._letters: dict[str, DeadLetter] = {}
        self._capacity = capacity

    async def add(self, letter: DeadLetter) -> None:
        """Keep *letter*, in place of one with the same id.

        Raises:
            UnavailableError: there is no room for it.
        """
        if letter.id not in self._letters and len(self._letters) >= self._capacity:
            raise UnavailableError(f"there are {self._capacity} dead letters already")
        self._letters[letter.id] = replace(letter, claimed_until="")

    async def letters(self) -> Sequence[DeadLetter]:
        """Return every letter, oldest first."""
        return sorted(self._letters.values(), key=lambda letter: (letter.at, letter.id))

    async def claim(self, letter_id: str, *, now: str, until: str) -> DeadLetter | None:
        """Claim a letter and return it; None if there is none, or another's claim lasts."""
        letter = self._letters.get(letter_id)
        if letter is None or letter.claimed_until > now:
            return None
        claimed = self._letters[letter_id] = replace(letter, claimed_until=until)
        return claimed

    async def remove(self, letter_id: str) -> bool:
        """Forget a letter, and tell whether there was one."""
        return self._letters.pop(letter_id, None) is not None
