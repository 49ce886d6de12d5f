"""What the engine needs to know of those who do a step's work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from oneiric.errors import JSONValue, nearest
from oneiric.runs.context import StepContext


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who did a step's work, and the digests of what chose them."""

    provider: str = ""
    version: str = ""
    manifest_digest: str = ""
    decision_digest: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"provider", "version", "manifest", "decision"}`, without what is empty."""
        found = {"provider": self.provider, "version": self.version}
        found |= {"manifest": self.manifest_digest, "decision": self.decision_digest}
        return {name: text for name, text in found.items() if text}


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
        if target in self._functions:
            return ""
        close = nearest(target, self._functions)
        return f"nobody does {target}{f'; did you mean {close}?' if close else ''}"

    def open(self, target: str) -> AbstractAsyncContextManager[Body]:
        return nullcontext(self._functions[target])


@dataclass(frozen=True, slots=True)
class _Function(Body):
    function: Work
    provenance: Provenance
    is_blocking: bool = False

    def __call__(self, context: StepContext, value: JSONValue, /) -> Given | Awaitable[Given]:
        return self.function(context, value)
