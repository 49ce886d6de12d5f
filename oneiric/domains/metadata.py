"""What candidates say of themselves, and the error that tells all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from oneiric.errors import InvalidError, JSONValue, Problem

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate


class InvalidMetadataError(InvalidError):
    """An offer whose metadata nobody can follow: every problem, and where it stands."""

    code = "invalid-metadata"

    def __init__(self, candidate: Candidate, problems: Sequence[Problem]) -> None:
        offer = str(candidate.offer)
        super().__init__(f"the metadata of {offer} ({candidate.source}) cannot be followed")
        self.offer = offer
        self.problems = tuple(problems)

    def details(self) -> Mapping[str, JSONValue]:
        return {"offer": self.offer, "problems": [each.as_json() for each in self.problems]}

    def lines(self) -> Sequence[str]:
        return [f"{problem.key}: {problem.what}" for problem in self.problems]


def problem_of(candidate: Candidate, key: str, error: InvalidError) -> Problem:
    """Return the problem at *key* that *error* tells of, its hint included."""
    what = f"{error.message}; {error.hint}" if error.hint else error.message
    return Problem(key, what, str(candidate.source))


def seconds_of(
    candidate: Candidate, key: str, default: float | None = None
) -> tuple[float | None, list[Problem]]:
    """Return a time that the metadata gives in seconds, and what is wrong with it."""
    value = candidate.metadata.get(key)
    if value is None:
        return default, []
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        what = "it is a number of seconds above 0"
        return default, [Problem(key, what, str(candidate.source))]
    return float(value), []
