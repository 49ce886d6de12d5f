"""Where results are kept that may serve again, by the digest of what they depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from oneiric.errors import JSONValue


@dataclass(frozen=True, slots=True)
class StoredResult:
    """What came of some work: `parts` are what it depended on, by name, in their order.

    `place` is where in the world of the caller the work stands, `origin` who did it then, and
    `at` when, in seconds since 1970.
    """

    key: str
    place: str
    parts: Mapping[str, str]
    value: JSONValue
    origin: str
    at: float


class Results(Protocol):
    """Keep results; its calls are short and block.

    Raises (each call): StoreError where it cannot be read or written.
    """

    def get(self, key: str) -> StoredResult | None:
        """Return the result that was put under *key*."""

    def last(self, place: str) -> StoredResult | None:
        """Return what was put last for a place."""

    def put(self, result: StoredResult) -> bool:
        """Keep a result in place of one of the same key; tell whether it was small enough."""
