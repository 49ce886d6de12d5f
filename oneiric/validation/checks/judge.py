"""Hold an answer to what a check expects, and say of each assert what was found."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import InvalidError, JSONValue, OneiricError
from oneiric.ports.errors import DependencyMissingError
from oneiric.validation.checks.answer import NO_JSON, Answer
from oneiric.validation.checks.grammar import is_number
from oneiric.validation.providers.json_paths import found_at
from oneiric.validation.providers.json_schemas import schema_faults
from oneiric.validation.providers.patterns import PatternUntriedError, searched

if TYPE_CHECKING:
    from oneiric.validation.checks.spec import Assert, LiveCheck, Status

NOTHING = object()
"""What stands for the actual value where there is none."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one assert found: `ok`, not ok, or None where it could not be checked, and why."""

    what: str
    expected: JSONValue
    actual: object
    _: KW_ONLY
    ok: bool | None
    why: str = ""
    at: str = ""


def judged(check: LiveCheck, answer: Answer, *, percentiles: bool = True) -> Iterator[Finding]:
    """Yield what was found of the status and of each assert; percentiles as of one sample."""
    expected = check.expected_status
    fits = status_fits(answer.status, expected)
    shown: JSONValue = list(expected) if isinstance(expected, list) else expected
    yield Finding("status", shown, answer.status, ok=fits)
    if answer.is_cut:
        what = f"the answer is longer than {check.max_body_bytes} bytes"
        yield Finding("size_bytes <=", check.max_body_bytes, NOTHING, ok=False, why=what)
        return
    for each in check.asserts:
        if percentiles or not is_percentile(each):
            yield _finding(each, answer)


def is_percentile(each: Assert) -> bool:
    """Tell whether an assert is about all samples, not about each."""
    return each.subject == "duration_ms" and each.at != ""


def percentiles(
    check: LiveCheck, samples: Sequence[float], *, unanswered: int = 0
) -> Iterator[Finding]:
    """Yield what was found of the percentiles of *samples*, which are milliseconds.

    Requests that got no answer count among them, as slower than any that did.
    """
    for each in filter(is_percentile, check.asserts):
        actual = percentile(samples, int(each.at[1:]), unanswered=unanswered)
        if actual is None:
            why = f"{unanswered} of {len(samples) + unanswered} requests got no answer"
            yield Finding(_name(each), each.value, NOTHING, ok=False, why=why, at=each.at)
        else:
            yield _compared(each, actual)


def percentile(samples: Sequence[float], percent: int, *, unanswered: int = 0) -> float | None:
    """Return the sample that *percent* of all do not exceed, or None for one without an answer.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50), percentile([4.0, 1.0, 3.0, 2.0], 95)
    (2.0, 4.0)
    >>> percentile([4.0, 1.0], 50, unanswered=2), percentile([4.0, 1.0], 95, unanswered=2)
    (4.0, None)
    """
    ordered = [*sorted(samples), *[None] * unanswered]
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def status_fits(status: int, expected: Status | Sequence[Status]) -> bool:
    """Tell whether a status is one of those expected, or of a class of them.

    >>> status_fits(204, "2xx"), status_fits(404, [200, 404]), status_fits(500, 200)
    (True, True, False)
    """
    if isinstance(expected, str):
        return expected[:1] == str(status)[:1] and expected[1:].lower() == "xx"
    if isinstance(expected, int):
        return status == expected
    return any(status_fits(status, each) for each in expected)


def _finding(each: Assert, answer: Answer) -> Finding:
    try:
        if each.subject == "schema":
            return _by_schema(each, answer)
        return _compared(each, _ACTUAL[each.subject](each, answer))
    except (DependencyMissingError, PatternUntriedError) as error:
        why = f"{error.message}; {error.hint}" if error.hint else error.message
        return Finding(_name(each), each.value, NOTHING, ok=None, why=why, at=each.at)
    except OneiricError as error:
        return Finding(_name(each), each.value, NOTHING, ok=False, why=error.message, at=each.at)


def _by_schema(each: Assert, answer: Answer) -> Finding:
    value = _value(answer) if not each.at else _at(each, answer)
    if value is NOTHING:
        faults = ["$: it is not there"]
    else:
        found = schema_faults(cast("JSONValue", each.value), cast("JSONValue", value))
        faults = [f"{path}: {what}" for path, what in found]
    return Finding(_name(each), "valid", "; ".join(faults) or "valid", ok=not faults)


def _value(answer: Answer) -> Any:
    if answer.value is NO_JSON:
        raise InvalidError("the answer is no JSON")
    return answer.value


def _at(each: Assert, answer: Answer) -> object:
    nodes = found_at(each.at, _value(answer))
    if not nodes:
        return NOTHING
    return nodes[0] if len(nodes) == 1 else Several(nodes)


class Several(list[JSONValue]):
    """What a path found in several places; none of them may be what it must not be."""


def _header(each: Assert, answer: Answer) -> object:
    return answer.headers.get(each.at, NOTHING)


_ACTUAL: Mapping[str, Callable[[Assert, Answer], object]] = MappingProxyType(
    {
        "status": lambda _, answer: answer.status,
        "header": _header,
        "json": _at,
        "body": lambda _, answer: answer.text,
        "size_bytes": lambda _, answer: len(answer.body),
        "duration_ms": lambda _, answer: answer.duration_ms,
        "certificate_days": lambda _, answer: (
            NOTHING if answer.certificate_days is None else answer.certificate_days
        ),
        "redirect": lambda _, answer: answer.redirect or NOTHING,
    }
)


def _compared(each: Assert, actual: object) -> Finding:
    if each.op in ("exists", "absent"):
        is_there = actual is not NOTHING
        ok = is_there is (each.op == "exists")
        return Finding(_name(each), each.op, actual, ok=ok, at=each.at)
    if actual is NOTHING:
        why = "it is not there"
        return Finding(_name(each), each.value, NOTHING, ok=False, why=why, at=each.at)
    if each.subject == "status" and each.op in ("==", "!="):
        ok = _is_status(actual, each.value) is (each.op == "==")
    else:
        ok = _OPERATIONS[each.op](actual, each.value)
    return Finding(_name(each), each.value, actual, ok=ok, at=each.at)


def _is_status(actual: Any, value: Any) -> bool:
    return status_fits(actual, value) if isinstance(value, str | int | list) else False


def same(one: object, other: object) -> bool:
    """Tell whether two JSON values are the same; `true` is no 1.

    >>> same([1.0, {"a": None}], [1, {"a": None}]), same(True, 1)
    (True, False)
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(
            same(each, other[key]) for key, each in one.items()
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def compared(actual: object, value: object) -> bool:
        if isinstance(actual, str) and is_number(value):
            actual = _number(actual)
        if is_number(actual) and is_number(value):
            return compare(actual, value)
        return isinstance(actual, str) and isinstance(value, str) and compare(actual, value)

    return compared


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _contains(actual: object, value: object) -> bool:
    if isinstance(actual, str):
        return isinstance(value, str | int | float) and str(value) in actual
    if isinstance(actual, Mapping):
        return isinstance(value, str) and value in actual
    return isinstance(actual, list) and any(same(each, value) for each in actual)


def _matches(actual: object, value: object) -> bool:
    text = str(actual) if isinstance(actual, str) or is_number(actual) else ""
    is_text = isinstance(actual, str) or is_number(actual)
    return is_text and searched(str(value), text) is not None


def _equal(actual: object, value: object) -> bool:
    return same(actual, value)


def _different(actual: object, value: object) -> bool:
    if isinstance(actual, Several) and any(same(each, value) for each in actual):
        return False
    return not same(actual, value)


_OPERATIONS: Mapping[str, Callable[[object, object], bool]] = MappingProxyType(
    {
        "==": _equal,
        "!=": _different,
        "<": _ordered(operator.lt),
        "<=": _ordered(operator.le),
        ">": _ordered(operator.gt),
        ">=": _ordered(operator.ge),
        "contains": _contains,
        "matches": _matches,
    }
)


def _name(each: Assert) -> str:
    return " ".join(filter(None, (each.subject, each.at, each.op)))
