"""What the engine needs to know of those who do a step's work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from oneiric.backoff import LONGEST_SECONDS
from oneiric.errors import InvalidError, JSONValue, unknown
from oneiric.runs.context import StepContext

_KEYS = ("provider", "version", "manifest", "decision")


class Provenance(NamedTuple):
    """Who did a step's work, and the digests of what chose them."""

    provider: str = ""
    version: str = ""
    manifest_digest: str = ""
    decision_digest: str = ""

    @classmethod
    def of(cls, data: Mapping[str, JSONValue]) -> Provenance:
        """Return what `as_json` gave, from a table that may hold more."""
        return cls._make([str(data.get(key, "")) for key in _KEYS])

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"provider", "version", "manifest", "decision"}`, without what is empty."""
        return {key: text for key, text in zip(_KEYS, self, strict=True) if text}


NOBODY = Provenance()


@dataclass(frozen=True, slots=True)
class Assigned:
    """Return this from a body to say that somebody outside will complete the step.

    A signal named *signal* to the step does; its value is the step's result. `prompt` tells
    those outside what is asked of them. Without one in time the step fails, or gets its
    default.
    """

    prompt: JSONValue = None
    signal: str = "done"
    timeout_seconds: float | None = None

    def __post_init__(self) -> None:
        signal: object = self.signal  # whoever wrote the body may have checked no types
        seconds: object = self.timeout_seconds
        is_number = isinstance(seconds, int | float) and 0 <= seconds <= LONGEST_SECONDS
        if not isinstance(signal, str) or not (seconds is None or is_number):
            raise InvalidError(f"no signal and seconds to wait for: {self.signal!r}, {seconds!r}")


Given: TypeAlias = "JSONValue | Assigned"
Work: TypeAlias = "Callable[[StepContext, JSONValue], Given | Awaitable[Given]]"
"""What does a step's work: takes its context and input, and returns a JSON value or `Assigned`."""


class Body(Protocol):
    """The work of a step, ready to be done.

    A blocking one is called in a thread.
    """

    @property
    def provenance(self) -> Provenance:
        """Who does the work, and why they."""

    @property
    def is_blocking(self) -> bool:
        """Whether it must not be called on the event loop."""

    def __call__(self, context: StepContext, value: JSONValue, /) -> Given | Awaitable[Given]:
        """Do the work on the step's input and return its result, or who is to give it."""


class Bodies(Protocol):
    """Find who does the work that a step's target names."""

    def problem(self, target: str) -> str:
        """Return why nobody may do the work of *target*, or an empty string."""

    def open(self, target: str) -> AbstractAsyncContextManager[Body]:
        """Hold the body of *target* for as long as the block lasts.

        A `nullcontext` says that nothing need be held: its body is called without a block.

        Raises:
            OneiricError: nobody may serve, or it is paused.
        """


class Functions(Bodies):
    """Let plain functions do the work, each under the name by which plans call it."""

    def __init__(self, functions: Mapping[str, Work]) -> None:
        self._functions = {
            name: _Function(work, Provenance(getattr(work, "__qualname__", type(work).__name__)))
            for name, work in functions.items()
        }

    def problem(self, target: str) -> str:
        is_there = target in self._functions
        return "" if is_there else f"nobody does {unknown(target, self._functions)}"

    def open(self, target: str) -> AbstractAsyncContextManager[Body]:
        return nullcontext(self._functions[target])


@dataclass(frozen=True, slots=True)
class _Function(Body):
    function: Work
    provenance: Provenance
    is_blocking: bool = False

    def __call__(self, context: StepContext, value: JSONValue, /) -> Given | Awaitable[Given]:
        return self.function(context, value)
