"""How one run of a recipe is to be done: which steps, from where on, and with what it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oneiric.errors import JSONValue


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is done, besides what its recipe says.

    Patterns are globs over the names of steps and over those of members of a matrix
    (`shards/a`); a name that fits none is an error.
    """

    only: tuple[str, ...] = ()
    """Patterns of the steps to do; all when empty."""
    skip: tuple[str, ...] = ()
    """Patterns of steps to leave out."""
    with_deps: bool = False
    """Whether what the steps of `only` depend on is done too."""
    only_failed: str = ""
    """The id of an earlier run: do what did not succeed there, with the values it kept."""
    resume: str = ""
    """The id of an open or failed run to go on with; the other choices of steps do not apply."""
    resume_from: str = ""
    """The name of a step: do it and all after it, with the values of the last run."""
    cache: bool = True
    """Whether earlier results are used, and new ones kept for later."""
    refresh: tuple[str, ...] = ()
    """Patterns of steps that are done though an earlier result would serve; it is replaced."""
    jobs: int = 0
    """How many steps may be under way at once, besides what else limits them; 0 for no limit."""
    keep_going: bool = False
    """Whether a failure stops only what depends on the failed step."""
    force: bool = False
    """Whether a run goes on though its recipe has changed since."""
    context_in: Mapping[str, JSONValue] = field(default_factory=dict)
    """Values that the context begins with."""
    allow_modules: tuple[str, ...] = ()
    """Patterns of modules that are allowed besides those of the configuration."""
    no_wait: bool = False
    """Whether the run is let go when only somebody outside can go on, instead of waiting."""
