"""Read PromQL and LogQL strictly enough to know every name in them, and that they are whole."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<number>\d+(?:\.\d+)?)(?![a-z])
    |(?P<span>\[(?:\d+[smhdw]|\$__rate_interval)\])
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<operator>=~|!~|!=|==|>=|<=|[-+*/><=,|])
    |(?P<open>[({])
    |(?P<close>[)}])""",
    re.VERBOSE,
)
FUNCTIONS = frozenset(
    {
        *("sum", "avg", "max", "min", "count", "rate", "increase", "changes"),
        *("histogram_quantile", "count_over_time"),
    }
)
WORDS = frozenset(["by", "without", "and", "or", "unless", "on", "json"])
_PAIRS = {"(": ")", "{": "}"}


class QueryError(ValueError):
    """A query that cannot be read."""


def tokens(query: str) -> Iterator[tuple[str, str]]:
    """Give each token of *query* and its kind.

    Raises:
        QueryError: something in it is no token, or a bracket is not closed.
    """
    place, stack = 0, []
    while place < len(query):
        found = _TOKEN.match(query, place)
        if found is None:
            raise QueryError(f"{query[place : place + 20]!r} is no token")
        place, kind = found.end(), str(found.lastgroup)
        if kind == "open":
            stack.append(_PAIRS[found[0]])
        elif kind == "close" and (not stack or stack.pop() != found[0]):
            raise QueryError(f"{found[0]} closes nothing in {query!r}")
        if kind != "space":
            yield kind, found[0]
    if stack:
        raise QueryError(f"{query!r} ends before {stack[-1]}")


def selectors(query: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give each metric that *query* selects, with the labels by which.

    Raises:
        QueryError: it cannot be read, or calls what is no function.
    """
    told = [*tokens(query), ("end", "")]
    place = 0
    while place < len(told):
        kind, text = told[place]
        if kind != "name":
            place += 1
        elif text in ("by", "without"):
            place = told.index(("close", ")"), place)
        elif text in WORDS:
            place += 1
        elif told[place + 1] == ("open", "(") or text in FUNCTIONS:
            if text not in FUNCTIONS:
                raise QueryError(f"{text} is no function")
            place += 1
        else:
            labels: tuple[str, ...] = ()
            if told[place + 1] == ("open", "{"):
                end = told.index(("close", "}"), place)
                labels = tuple(_matched(told[place + 2 : end]))
                place = end
            yield text, labels
            place += 1


def _matched(inside: list[tuple[str, str]]) -> Iterator[str]:
    """Give the labels of matchers such as `a="x", b!~"y"`."""
    for number in range(0, len(inside), 4):
        kinds = [kind for kind, _ in inside[number : number + 4]]
        last = kinds[3:] == ["operator"] and inside[number + 3][1] == ","
        if kinds[:3] != ["name", "operator", "string"] or (len(kinds) == 4 and not last):
            raise QueryError(f"{inside} are no matchers")
        yield inside[number][1]


def grouped(query: str) -> Iterator[str]:
    """Give each label by which *query* groups."""
    for inner in re.findall(r"\bby\s*\(([^)]*)\)", query):
        yield from (word.strip() for word in inner.split(","))
