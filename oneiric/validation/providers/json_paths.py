"""JSONPath (RFC 9535): what of a JSON value is meant."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from oneiric.errors import InvalidError, JSONValue
from oneiric.ports.errors import DependencyMissingError
from oneiric.validation.providers.patterns import EXTRA, pattern_problem, searched

if TYPE_CHECKING:
    from jsonpath import JSONPath

LONGEST = 1_000
"""Characters that a path may have."""
MOST_NODES = 100_000
"""Of how many nodes a path may tell."""


def path_problem(path: str) -> str:
    """Return why *path* is no JSONPath, or an empty text.

    >>> path_problem("$.items[?@.price < 10].name"), path_problem("$.a[")
    ('', 'it is no JSONPath (RFC 9535)')

    Raises:
        DependencyMissingError: the extra is not installed.
    """
    if len(path) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    return "" if _compiled(path) else "it is no JSONPath (RFC 9535)"


def found_at(path: str, value: JSONValue) -> list[JSONValue]:
    """Return the values at *path*, none where nothing is there.

    >>> found_at("$..id", {"id": 1, "of": [{"id": 2}]})
    [1, 2]

    Raises:
        InvalidError: it is no JSONPath, or leads too deep or to too much.
        PatternTooSlowError: a pattern in it had no answer in time.
        DependencyMissingError: the extra is not installed.
    """
    compiled = _compiled(path)
    if compiled is None:
        raise InvalidError(f"{path!r} is no JSONPath (RFC 9535)")
    nodes: list[JSONValue] = []
    if not isinstance(value, dict | list):
        return [value] if path == "$" else nodes
    try:
        for match in compiled.finditer(value):
            nodes.append(match.obj)  # type: ignore[arg-type]  # it is part of *value*
            if len(nodes) > MOST_NODES:
                raise InvalidError(f"{path!r} leads to more than {MOST_NODES} values")
    except RecursionError:
        raise InvalidError(f"{path!r} leads too deep") from None
    return nodes


@lru_cache(maxsize=512)
def _compiled(path: str) -> JSONPath | None:
    environment, errors = _library()
    try:
        found: JSONPath = environment.compile(path)
    except errors:
        return None
    return found


@lru_cache(maxsize=1)
def _library() -> tuple[Any, tuple[type[Exception], ...]]:
    """Return an environment that follows the standard, and what it raises."""
    try:
        from jsonpath import JSONPathEnvironment
        from jsonpath.exceptions import JSONPathError
        from jsonpath.function_extensions import Match, Search
    except ImportError:
        raise DependencyMissingError("JSONPath", extra=EXTRA) from None

    class BoundedMatch(Match):
        def __call__(self, value: object, pattern: object) -> bool:
            return _fits(value, f"^(?:{pattern})\\z", pattern)

    class BoundedSearch(Search):
        def __call__(self, value: object, pattern: object) -> bool:
            return _fits(value, f"(?:{pattern})", pattern)

    environment = JSONPathEnvironment(strict=True)
    environment.function_extensions |= {"match": BoundedMatch(), "search": BoundedSearch()}
    return environment, (JSONPathError, RecursionError)


def _fits(value: object, whole: str, pattern: object) -> bool:
    """Tell whether a text fits; as the standard has it, nothing else does, nor is it an error."""
    if not isinstance(value, str) or not isinstance(pattern, str) or pattern_problem(whole):
        return False
    return searched(whole, value) is not None
