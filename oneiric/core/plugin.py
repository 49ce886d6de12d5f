"""What a package brings: the object that an entry point names."""

from collections.abc import Iterable
from dataclasses import dataclass

from oneiric.core.candidate import Candidate


@dataclass(frozen=True, slots=True)
class Plugin:
    """Offer a package's candidates to whoever installed it.

    An entry point in one of the groups `oneiric.adapters`, `oneiric.services`,
    `oneiric.tasks`, `oneiric.events`, `oneiric.workflows` or `oneiric.actions`
    names one Plugin as `package.module:attr`. All of its candidates must belong
    to that group's domain. Their source and stack become the distribution's.

    >>> Plugin([Candidate("adapter:cache", "memory", dict)]).candidates[0].provider
    'memory'
    """

    candidates: tuple[Candidate, ...]

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        object.__setattr__(self, "candidates", tuple(candidates))
