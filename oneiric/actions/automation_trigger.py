"""`automation.trigger`: which rules a context fulfils."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, Field, JsonValue

from oneiric.actions.kit import Payload, Record, Result
from oneiric.documents import canonical

Operator: TypeAlias = Literal[
    "eq", "ne", "gt", "gte", "lt", "lte",
    "in", "not_in", "contains", "starts_with", "ends_with", "exists", "missing",
]  # fmt: skip
_ABSENT = object()


class Condition(Payload):
    """A field of the context, by its dotted path, compared with a value."""

    field: str = Field(min_length=1)
    operator: Operator = "eq"
    value: JsonValue = None


class Rule(Payload):
    """An action to name when all conditions hold; a rule without conditions always does."""

    name: str = Field(min_length=1)
    action: str = Field(min_length=1)
    payload: Record = Field(default_factory=dict)
    stop_on_match: bool = False
    conditions: list[Condition] = Field(default_factory=list)


class TriggerPayload(Payload):
    """The context, and the rules in the order in which they are tried."""

    context: Record = Field(default_factory=dict)
    rules: list[Rule] = Field(min_length=1)


class MatchedRule(Result):
    """A rule whose conditions hold, with the action that it names; nobody called it."""

    name: str
    action: str
    payload: Record


class EvaluatedRule(Result):
    """A rule that was tried, and the fields whose conditions do not hold."""

    name: str
    matched: bool
    failed: list[str]


class TriggerResult(Result):
    """Which rules hold; those after a `stop_on_match` were not tried."""

    status: Literal["matched", "no-match"]
    matched_rules: list[MatchedRule]
    evaluated_rules: list[EvaluatedRule]


class AutomationTrigger:
    """Tell which rules a context fulfils, and the actions that they name; call none.

    Values are compared as JSON: `true` is not 1, 1 is 1.0, and only numbers, or only texts,
    have an order. A comparison of what cannot be compared does not hold.
    """

    payload: ClassVar[type[BaseModel]] = TriggerPayload
    result: ClassVar[type[BaseModel]] = TriggerResult

    def execute(self, payload: TriggerPayload) -> TriggerResult:
        """Try the rules."""
        matched: list[MatchedRule] = []
        evaluated: list[EvaluatedRule] = []
        for rule in payload.rules:
            failed = [each.field for each in rule.conditions if not _holds(each, payload.context)]
            evaluated.append(EvaluatedRule(name=rule.name, matched=not failed, failed=failed))
            if failed:
                continue
            matched.append(MatchedRule(name=rule.name, action=rule.action, payload=rule.payload))
            if rule.stop_on_match:
                break
        status: Literal["matched", "no-match"] = "matched" if matched else "no-match"
        return TriggerResult(status=status, matched_rules=matched, evaluated_rules=evaluated)


def _holds(condition: Condition, context: Record) -> bool:
    found = _at(context, condition.field)
    if condition.operator in ("exists", "missing"):
        return (found is not _ABSENT) is (condition.operator == "exists")
    if found is _ABSENT:
        return condition.operator in ("ne", "not_in")
    return _OPERATORS[condition.operator](found, condition.value)


def _at(context: Record, path: str) -> Any:
    """Return what stands at a dotted path; a whole key outranks its parts."""
    value: Any = context
    if path in context:
        return context[path]
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isascii() and part.isdecimal():
            index = int(part) if len(part) < 10 else len(value)
            if index >= len(value):
                return _ABSENT
            value = value[index]
        else:
            return _ABSENT
    return value


def _same(one: JsonValue, other: JsonValue) -> bool:
    return canonical(one) == canonical(other)


def _within(one: JsonValue, many: JsonValue) -> bool:
    """Tell whether a list holds a value, a text a part, or a table a key."""
    if isinstance(many, list):
        return any(_same(one, each) for each in many)
    return isinstance(one, str) and isinstance(many, str | dict) and one in many


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(one: Any, other: Any) -> bool:
        numbers = all(type(each) in (int, float) for each in (one, other))
        texts = isinstance(one, str) and isinstance(other, str)
        return (numbers or texts) and compare(one, other)

    return holds


def _texts(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda one, other: (
        isinstance(one, str) and isinstance(other, str) and compare(one, other)
    )


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "ne": lambda one, other: not _same(one, other),
    "gt": _ordered(lambda one, other: one > other),
    "gte": _ordered(lambda one, other: one >= other),
    "lt": _ordered(lambda one, other: one < other),
    "lte": _ordered(lambda one, other: one <= other),
    "in": _within,
    "not_in": lambda one, other: not _within(one, other),
    "contains": lambda one, other: _within(other, one),
    "starts_with": _texts(str.startswith),
    "ends_with": _texts(str.endswith),
}
