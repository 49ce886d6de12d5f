"""Regular expressions that cannot take long, whatever they are tried on."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from oneiric.errors import OneiricError
from oneiric.ports.errors import DependencyMissingError

if TYPE_CHECKING:
    from regex import Pattern

EXTRA = "validation"
LONGEST = 1_000
"""Characters that a pattern may have."""
MOST_REPEATS = 10_000
"""To how much the counts of a pattern may multiply: each makes the pattern itself longer."""
LIMIT_SECONDS = 0.5
"""How long one search may take."""

_SHOWN = 80
_COUNT = re.compile(r"\{(\d*),?(\d*)\}")


class PatternUntriedError(OneiricError):
    """Nobody knows whether a text matches a pattern, for it cannot be read, or takes too long."""

    code = "pattern-untried"


class PatternTooSlowError(PatternUntriedError):
    """A pattern was tried for as long as it may be, and had no answer by then."""

    code = "pattern-too-slow"

    def __init__(self, pattern: str, *, seconds: float) -> None:
        super().__init__(f"the pattern {shown(pattern)} had no answer within {seconds:g} s")
        self.pattern = pattern


def pattern_problem(pattern: str) -> str:
    """Return why *pattern* cannot be tried, or an empty text.

    >>> pattern_problem("(")
    'missing ) at position 1'
    >>> pattern_problem("((a{1000}){1000}){1000}")
    'its counts multiply to more than 10000'

    Raises:
        DependencyMissingError: the extra is not installed.
    """
    if len(pattern) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    repeats = 1
    for low, high in _COUNT.findall(pattern):
        repeats *= max(int(low[:9] or 0), int(high[:9] or 0), 1)
    if repeats > MOST_REPEATS:
        return f"its counts multiply to more than {MOST_REPEATS}"
    library = _library()
    try:
        _compiled(pattern)
    except library.error as error:
        return str(error)
    except (OverflowError, RecursionError):
        return "it is too large"
    return ""


def searched(pattern: str, text: str, *, seconds: float = LIMIT_SECONDS) -> str | None:
    """Return the first group that *pattern* finds in *text*, all of it without one, else None.

    Others can run meanwhile, where this is called in a thread.

    Raises:
        PatternTooSlowError: *seconds* were not enough.
        DependencyMissingError: the extra is not installed.
    """
    try:
        found = _compiled(pattern).search(text, timeout=seconds, concurrent=True)
    except TimeoutError:
        raise PatternTooSlowError(pattern, seconds=seconds) from None
    if found is None:
        return None
    group: str | None = found[1] if found.re.groups else found[0]
    return "" if group is None else group


def shown(pattern: str) -> str:
    """Return a pattern as people are told of it: printable, and no longer than a line."""
    return ascii(pattern if len(pattern) <= _SHOWN else f"{pattern[:_SHOWN]}…")


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Pattern[str]:
    compiled: Pattern[str] = _library().compile(pattern)
    return compiled


def _library() -> Any:
    try:
        import regex
    except ImportError:
        raise DependencyMissingError("regular expressions", extra=EXTRA) from None
    return regex
