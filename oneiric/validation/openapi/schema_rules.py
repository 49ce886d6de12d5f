"""How two shapes differ, keyword by keyword."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from oneiric.errors import JSONValue
from oneiric.validation.openapi.shape import ANYTHING, LOWER, UPPER, Shape, is_tighter

_SHOWN = 20
_LONGEST = 200
_WIDER = frozenset({("int32", "int64"), ("float", "double")})


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, before its place is known.

    Args:
        rule: the rule, without its side.
        facts: what was, and what is.
        step: what leads from the place of the schemas to that of the difference.
    """

    rule: str
    facts: Mapping[str, JSONValue] = field(default_factory=dict)
    step: str = ""


def keyword_changes(old: Shape, new: Shape) -> Iterator[Change]:
    """Yield how *new* differs from *old* in what single keywords say."""
    yield from _values(old, new)
    yield from _format(old, new)
    yield from _bounds(old, new)
    yield from _patterns(old, new)
    yield from _multiples(old, new)
    if old.unique != new.unique:
        yield Change("unique-added" if new.unique else "unique-removed")
    if old.default != new.default:
        yield Change("default-changed", _between(old.default, new.default))
    if old.discriminator and new.discriminator and old.discriminator != new.discriminator:
        yield Change("discriminator-changed", between(old.discriminator, new.discriminator))
    yield from _opaque(old, new)


def type_changes(old: Shape, new: Shape) -> Iterator[Change]:
    """Yield how the types differ, and null."""
    unclear = bool(old.unions and new.unions) and ANYTHING in (old.types, new.types)
    if old.types != new.types and not unclear:
        facts = between(shown_types(old), shown_types(new))
        if old.types > new.types:
            yield Change("type-narrowed", facts)
        elif old.types < new.types:
            yield Change("type-widened", facts)
        else:
            yield Change("type-changed", facts)
    if old.nullable != new.nullable and not _goes_without_saying(old, new):
        yield Change("became-nullable" if new.nullable else "became-not-nullable")


def _goes_without_saying(old: Shape, new: Shape) -> bool:
    """Tell whether null comes or goes together with every other restriction of the type."""
    return old.types != new.types and ANYTHING in (old.types, new.types)


def shown_types(shape: Shape) -> str:
    """Return the types of a shape as they are written, such as `integer or string`."""
    if shape.types == ANYTHING:
        return "anything"
    names = set(shape.types)
    if "fraction" in names:
        names = names - {"fraction", "integer"} | {"number"}
    if shape.nullable:
        names.add("null")
    return " or ".join(sorted(names)) or "nothing"


def between(old: JSONValue, new: JSONValue) -> dict[str, JSONValue]:
    """Return what was and what is, shortened."""
    return {"from": shortened(old), "to": shortened(new)}


def shortened(value: JSONValue) -> JSONValue:
    """Return *value*, its text cut where it is long."""
    return f"{value[:_LONGEST]}…" if isinstance(value, str) and len(value) > _LONGEST else value


def _between(old: bytes, new: bytes) -> dict[str, JSONValue]:
    return {"from": _value(old) if old else None, "to": _value(new) if new else None}


def _value(text: bytes) -> JSONValue:
    if len(text) > _LONGEST:
        return f"{text[:_LONGEST].decode(errors='ignore')}…"
    value: JSONValue = json.loads(text)
    return value


def _values(old: Shape, new: Shape) -> Iterator[Change]:
    is_const = old.is_const or new.is_const
    if old.enum == new.enum:
        return
    if old.enum is None or new.enum is None:
        word = "const" if is_const else "enum"
        values = new.enum if old.enum is None else old.enum
        facts = {"values": _listed(values or frozenset())}
        yield Change(f"{word}-{'added' if old.enum is None else 'removed'}", facts)
        return
    if old.is_const and new.is_const:
        yield Change("const-changed", {"from": _listed(old.enum), "to": _listed(new.enum)})
        return
    if gone := old.enum - new.enum:
        yield Change("enum-value-removed", {"values": _listed(gone)})
    if come := new.enum - old.enum:
        yield Change("enum-value-added", {"values": _listed(come)})


def _listed(values: frozenset[bytes]) -> list[JSONValue]:
    return [_value(each) for each in sorted(values)[:_SHOWN]]


def _format(old: Shape, new: Shape) -> Iterator[Change]:
    if old.format == new.format:
        return
    if not old.format or not new.format:
        word = "removed" if old.format else "added"
    elif (old.format, new.format) in _WIDER:
        word = "widened"
    elif (new.format, old.format) in _WIDER:
        word = "narrowed"
    else:
        word = "changed"
    yield Change(f"format-{word}", between(old.format, new.format))


def _bounds(old: Shape, new: Shape) -> Iterator[Change]:
    for words, name, sign in ((UPPER, "upper-bound", 1), (LOWER, "lower-bound", -1)):
        for word in words:
            before, after = old.bounds.get(word), new.bounds.get(word)
            if before == after:
                continue
            facts: dict[str, JSONValue] = {
                "keyword": word,
                "from": None if before is None else before[0],
                "to": None if after is None else after[0],
            }
            if before is None or after is None:
                yield Change(f"{name}-{'added' if before is None else 'removed'}", facts)
                continue
            if before[0] == after[0]:
                facts["exclusive"] = after[1]
            is_upper = sign > 0
            lower = is_tighter(after, before, sign) == is_upper
            yield Change(f"{name}-{'lowered' if lower else 'raised'}", facts)


def _patterns(old: Shape, new: Shape) -> Iterator[Change]:
    gone, come = old.patterns - new.patterns, new.patterns - old.patterns
    if gone or come:
        word = "changed" if gone and come else "added" if come else "removed"
        facts = between(" and ".join(sorted(old.patterns)), " and ".join(sorted(new.patterns)))
        yield Change(f"pattern-{word}", facts)


def _multiples(old: Shape, new: Shape) -> Iterator[Change]:
    gone, come = old.multiples - new.multiples, new.multiples - old.multiples
    if gone or come:
        word = "changed" if gone and come else "added" if come else "removed"
        yield Change(f"multiple-{word}", {"from": sorted(gone), "to": sorted(come)})


def _opaque(old: Shape, new: Shape) -> Iterator[Change]:
    for mine, theirs, word in ((new, old, "added"), (old, new, "removed")):
        only = sorted(mine.opaque.keys() - theirs.opaque.keys())
        for listed, name in ((True, "all-of"), (False, "constraint")):
            keywords = sorted({key[0] for key in only if mine.opaque[key] is listed})
            if keywords:
                yield Change(f"{name}-{word}", {"keywords": keywords})
