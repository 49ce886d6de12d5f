"""What a difference between two documents is called, and how bad it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from oneiric.errors import InvalidError, unknown
from oneiric.ports.drift import Severity

EDITION = 3
"""The edition of the table: a rule that is judged anew gives it the next number."""

_WORDS: Mapping[str, Severity] = MappingProxyType(
    {"B": Severity.BREAKING, "W": Severity.WARNING, "I": Severity.INFO}
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of difference.

    Args:
        id: its code.
        severity: how bad it is, unless the configuration says otherwise.
        direction: `request`, `response` or `both`.
        meaning: what is different, in words.
    """

    id: str
    severity: Severity
    direction: str
    meaning: str


_OPERATIONS: Sequence[tuple[str, str, str]] = (
    ("path-added", "I", "a path is new"),
    ("path-removed", "B", "a path is gone that was never deprecated"),
    ("path-removed-before-sunset", "B", "a deprecated path is gone before its sunset"),
    ("path-removed-after-deprecation", "I", "a deprecated path is gone"),
    ("operation-added", "I", "an operation is new"),
    ("operation-removed", "B", "an operation is gone that was never deprecated"),
    ("operation-removed-before-sunset", "B", "a deprecated operation is gone before its sunset"),
    ("operation-removed-after-deprecation", "I", "a deprecated operation is gone"),
    ("operation-id-changed", "I", "generated clients know the operation by another name"),
    ("operation-deprecated", "I", "the operation should no longer be used"),
    ("operation-reactivated", "I", "the operation is no longer deprecated"),
    ("sunset-missing", "B", "the operation is deprecated, and nothing says until when it stays"),
    ("sunset-unparsable", "B", "the sunset is no date"),
    ("sunset-too-early", "B", "the operation goes away earlier than was announced, or at once"),
    ("sunset-deleted", "B", "nothing says any longer until when the operation stays"),
    ("base-path-removed", "W", "no server has this base path any longer"),
    ("security-added", "B", "callers must prove who they are, and had not to"),
    ("security-dropped", "W", "callers need no longer prove who they are"),
    ("security-requirement-added", "I", "there is a further way to prove who calls"),
    ("security-requirement-removed", "B", "a way to prove who calls is gone"),
    ("security-scope-added", "B", "callers need a further scope"),
    ("security-scope-removed", "I", "callers need a scope less"),
    ("security-scheme-changed", "B", "callers prove who they are in another way"),
    ("ignored-entry-expired", "I", "a difference was accepted until a day that has passed"),
    ("too-many-differences", "B", "there is more than can be compared and told"),
)
_REQUEST: Sequence[tuple[str, str, str]] = (
    ("required-parameter-added", "B", "a request needs a further parameter"),
    ("path-parameter-added", "B", "a request needs a further parameter in its path"),
    ("optional-parameter-added", "I", "a request may have a further parameter"),
    ("parameter-removed", "W", "a parameter is gone"),
    ("parameter-became-required", "B", "a parameter may no longer be left out"),
    ("parameter-became-optional", "I", "a parameter may be left out"),
    ("parameter-style-changed", "B", "the values of a parameter are written in another way"),
    ("parameter-deprecated", "I", "a parameter should no longer be used"),
    ("parameter-reactivated", "I", "a parameter is no longer deprecated"),
    ("required-body-added", "B", "a request needs a body, and had none"),
    ("optional-body-added", "I", "a request may have a body, and had none"),
    ("body-removed", "W", "a request has no body any longer"),
    ("body-became-required", "B", "the body may no longer be left out"),
    ("body-became-optional", "I", "the body may be left out"),
    ("media-type-added", "I", "the body may be of a further media type"),
    ("media-type-removed", "B", "the body may no longer be of this media type"),
    ("required-property-added", "B", "a request needs a further property"),
    ("required-property-with-default-added", "I", "a request has a further property by default"),
    ("optional-property-added", "I", "a request may have a further property"),
    ("property-removed", "W", "a property is gone"),
    ("property-now-refused", "B", "a property is gone, and unknown ones are refused"),
    ("property-became-required", "B", "a property may no longer be left out"),
    ("property-with-default-became-required", "I", "a property with a default is required"),
    ("property-became-optional", "I", "a property may be left out"),
)
_RESPONSE: Sequence[tuple[str, str, str]] = (
    ("success-status-added", "I", "there is a further status of success"),
    ("success-status-removed", "B", "a status of success is gone"),
    ("failure-status-added", "I", "there is a further status of failure"),
    ("failure-status-removed", "I", "a status of failure is gone"),
    ("media-type-added", "I", "the answer may be of a further media type"),
    ("media-type-removed", "B", "the answer is no longer of this media type"),
    ("schema-removed", "W", "nothing says any longer what the answer looks like"),
    ("header-added", "I", "the answer has a further header"),
    ("required-header-removed", "B", "a header is gone that was always there"),
    ("optional-header-removed", "W", "a header is gone that was there sometimes"),
    ("header-became-optional", "B", "a header may be left out that was always there"),
    ("header-became-required", "I", "a header is always there"),
    ("property-added", "I", "the answer has a further property"),
    ("required-property-removed", "B", "a property is gone that was always there"),
    ("optional-property-removed", "W", "a property is gone that was there sometimes"),
    ("property-became-optional", "B", "a property may be left out that was always there"),
    ("property-became-required", "I", "a property is always there"),
)
_EITHER: Sequence[tuple[str, str, str, str]] = (
    ("type-changed", "B", "B", "the type is another one"),
    ("type-narrowed", "B", "I", "fewer types are possible"),
    ("type-widened", "I", "B", "more types are possible"),
    ("became-nullable", "I", "B", "it may be null"),
    ("became-not-nullable", "B", "I", "it may no longer be null"),
    ("format-added", "W", "I", "it has a format"),
    ("format-changed", "B", "B", "its format is another one"),
    ("format-narrowed", "B", "I", "its format holds less"),
    ("format-widened", "I", "B", "its format holds more"),
    ("format-removed", "I", "W", "it has no format any longer"),
    ("enum-added", "B", "I", "only listed values are possible"),
    ("enum-removed", "I", "B", "more than the listed values are possible"),
    ("enum-value-added", "I", "W", "further values are possible"),
    ("enum-value-removed", "B", "I", "values are no longer possible"),
    ("const-added", "B", "I", "only one value is possible"),
    ("const-changed", "B", "B", "the only possible value is another one"),
    ("const-removed", "I", "B", "more than the one value is possible"),
    ("upper-bound-added", "B", "I", "there is an upper bound"),
    ("upper-bound-lowered", "B", "I", "the upper bound is lower"),
    ("upper-bound-raised", "I", "B", "the upper bound is higher"),
    ("upper-bound-removed", "I", "B", "there is no upper bound any longer"),
    ("lower-bound-added", "B", "I", "there is a lower bound"),
    ("lower-bound-raised", "B", "I", "the lower bound is higher"),
    ("lower-bound-lowered", "I", "B", "the lower bound is lower"),
    ("lower-bound-removed", "I", "B", "there is no lower bound any longer"),
    ("pattern-added", "B", "I", "text must match a pattern"),
    ("pattern-changed", "W", "W", "text must match another pattern"),
    ("pattern-removed", "I", "B", "text need not match a pattern any longer"),
    ("multiple-added", "B", "I", "only multiples of a number are possible"),
    ("multiple-changed", "B", "B", "only multiples of another number are possible"),
    ("multiple-removed", "I", "B", "more than multiples of a number are possible"),
    ("unique-added", "B", "I", "the items of a list must differ"),
    ("unique-removed", "I", "B", "the items of a list may be equal"),
    ("default-changed", "W", "I", "what is left out means something else"),
    ("union-added", "B", "I", "one of several schemas must hold"),
    ("union-removed", "I", "B", "none of several schemas need hold any longer"),
    ("branch-added", "I", "B", "it may look like a further schema"),
    ("branch-removed", "B", "I", "it may no longer look like one of the schemas"),
    ("discriminator-changed", "B", "B", "another property tells the schemas apart"),
    ("all-of-added", "B", "I", "a further schema of allOf constrains it"),
    ("all-of-removed", "W", "B", "a schema of allOf constrains it no longer"),
    ("constraint-added", "B", "I", "there is a further constraint"),
    ("constraint-removed", "I", "B", "a constraint is gone"),
    ("additional-properties-forbidden", "B", "I", "unknown properties are refused"),
    ("additional-properties-allowed", "I", "W", "unknown properties are possible"),
)
_EARLIER: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {
        1: {
            "request-upper-bound-added": "W",
            "request-lower-bound-added": "W",
            "request-default-changed": "B",
            "response-pattern-removed": "I",
            "response-enum-removed": "I",
            "security-added": "I",
            "security-requirement-removed": "I",
            "security-scope-added": "I",
            "ignored-entry-expired": "W",
        },
        2: {"ignored-entry-expired": "W"},
    }
)
"""What earlier editions judged otherwise."""


def _rules() -> Iterator[Rule]:
    for name, word, meaning in _OPERATIONS:
        yield Rule(name, _WORDS[word], "both", meaning)
    for side, rows in (("request", _REQUEST), ("response", _RESPONSE)):
        for name, word, meaning in rows:
            yield Rule(f"{side}-{name}", _WORDS[word], side, meaning)
    for name, *words, meaning in _EITHER:
        for side, word in zip(("request", "response"), words, strict=True):
            yield Rule(f"{side}-{name}", _WORDS[word], side, meaning)


RULES: Mapping[str, Rule] = MappingProxyType({each.id: each for each in _rules()})
"""Every rule by its id."""


def rule_table() -> list[Rule]:
    """Return every rule, in the order in which they are documented."""
    return list(RULES.values())


def severities(
    overrides: Mapping[str, str], *, edition: int = EDITION
) -> dict[str, Severity | None]:
    """Return how bad each rule is; None for those that are ignored.

    >>> severities({"path-added": "ignore"})["path-added"] is None
    True

    Raises:
        InvalidError: an override names no rule or gives no severity, or there is no such edition.
    """
    if edition != EDITION and edition not in _EARLIER:
        raise InvalidError(f"there is no edition {edition} of the rules; the latest is {EDITION}")
    known: dict[str, Severity | None] = {each.id: each.severity for each in RULES.values()}
    known |= {rule: _WORDS[word] for rule, word in _EARLIER.get(edition, {}).items()}
    words = [*map(str, Severity), "ignore"]
    for rule, word in overrides.items():
        if rule not in known:
            raise InvalidError(f"there is no rule {unknown(rule, known)}")
        if str(word) not in words:
            raise InvalidError(f"{rule} cannot be {unknown(str(word), words)}")
        known[rule] = None if word == "ignore" else Severity(word)
    return known
