"""What the engine needs to know of those who do a step's work."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from oneiric.errors import JSONValue

if TYPE_CHECKING:
    from oneiric.runs.context import StepContext


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who did a step's work, and the digests of what chose them."""

    provider: str = ""
    version: str = ""
    manifest_digest: str = ""
    decision_digest: str = ""


class Body(Protocol):
    """The work of a step, ready to be done.

    A blocking one is called in a thread.
    """

    @property
    def provenance(self) -> Provenance:
        """Who does the work, and why they."""
        ...

    @property
    def is_blocking(self) -> bool:
        """Whether it must not be called on the event loop."""
        ...

    def __call__(
        self, context: StepContext, value: JSONValue, /
    ) -> JSONValue | Awaitable[JSONValue]:
        """Do the work on the step's input and return its result, a JSON value."""
        ...


class Bodies(Protocol):
    """Find who does the work that a step's target names."""

    def problem(self, target: str) -> str:
        """Return why nobody may do the work of *target*, or an empty string."""
        ...

    def open(self, target: str) -> AbstractAsyncContextManager[Body]:
        """Hold the body of *target* for as long as the block lasts.

        Raises:
            OneiricError: nobody may serve, or it is paused.
        """
        ...
