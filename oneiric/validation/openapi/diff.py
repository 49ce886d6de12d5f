"""Compare two documents by what they mean to those who ask and are answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import TypeAlias, TypedDict, Unpack

from oneiric.documents import canonical
from oneiric.errors import JSONValue
from oneiric.ports.drift import DriftItem, Severity
from oneiric.validation.openapi.changes import Found
from oneiric.validation.openapi.document import Document
from oneiric.validation.openapi.ignored import Ignored, expired
from oneiric.validation.openapi.lifetimes import lifetime_changes, removal
from oneiric.validation.openapi.operation_rules import operation_changes
from oneiric.validation.openapi.operations import Operation
from oneiric.validation.openapi.paths import unnamed
from oneiric.validation.openapi.references import meaning
from oneiric.validation.openapi.rules import EDITION, RULES, severities
from oneiric.validation.openapi.schemas import SchemaPairs
from oneiric.validation.openapi.securing import security_changes

MAX_ITEMS = 10_000
"""How many differences are told at most; beyond, one says that there are more."""

MAX_UNREAD = 100
"""How many places are told at most that could not be compared."""

MAX_SEEN = 200_000
"""How many are looked at, those that somebody accepted among them."""

_Key: TypeAlias = tuple[str, str, str]
_NO_OVERRIDES: Mapping[str, str] = MappingProxyType({})
_WORST_FIRST = tuple(reversed(Severity))


@dataclass(frozen=True, slots=True)
class Difference:
    """What a comparison found: items, how many were ignored, how many operations were compared.

    Of two documents that differ, `unread` is what could not be compared: places, each with why.
    """

    items: tuple[DriftItem, ...]
    ignored: int
    checked: int
    unread: tuple[tuple[str, str], ...] = ()


class Judging(TypedDict, total=False):
    """How `compare` judges, by its names."""

    overrides: Mapping[str, str]
    ignore: Sequence[Ignored]
    today: str
    edition: int


def diff(old: Document, new: Document, **judging: Unpack[Judging]) -> list[DriftItem]:
    """Return how *new* differs from *old*, as `compare` finds it."""
    return list(compare(old, new, **judging).items)


def compare(
    old: Document,
    new: Document,
    *,
    overrides: Mapping[str, str] = _NO_OVERRIDES,
    ignore: Sequence[Ignored] = (),
    today: str = "",
    edition: int = EDITION,
) -> Difference:
    """Tell how *new* differs from *old*, worst first; the order of keys makes no difference.

    *overrides* gives rules another severity, or `ignore`; *ignore* accepts differences by rule
    and place. *today*, as in `2026-11-21`, tells which of those have expired and which sunsets
    have passed; without it none has. *edition* is that of the rules.

    What a schema says is told at every place that uses it. Text for people alone, examples and
    names of variables in paths are no difference.

    Raises:
        InvalidError: *overrides* names no rule, or gives no severity.
    """
    levels = severities(overrides, edition=edition)
    valid = [entry for entry in ignore if not entry.has_expired(today)]
    pairs = SchemaPairs(old, new)
    items: dict[tuple[str, str], DriftItem] = {}
    ignored: set[tuple[str, str]] = set()
    for seen, found in enumerate(_found(old, new, pairs, today)):
        key = found.rule, found.place
        if seen >= MAX_SEEN:
            pairs.is_cut = True
            break
        if levels[found.rule] is None or key in items or key in ignored:
            continue
        if any(entry.covers(*key) for entry in valid):
            ignored.add(key)
            continue
        items[key] = _item(found, levels)
        if len(items) >= MAX_ITEMS:
            pairs.is_cut = True
            break
    last = [*_expired(ignore, today), *_cut(pairs)]
    items |= {(each.rule, each.place): _item(each, levels) for each in last if levels[each.rule]}
    ordered = sorted(
        items.values(),
        key=lambda each: (_WORST_FIRST.index(each.severity), each.place, each.code),
    )
    checked = len(_by_template(old).keys() | _by_template(new).keys())
    return Difference(tuple(ordered), len(ignored), checked, _unread(old, new))


def _unread(old: Document, new: Document) -> tuple[tuple[str, str], ...]:
    """Return what nobody knows of two documents; of those that say the same, nothing is."""
    places = tuple(dict.fromkeys((*old.unread, *new.unread)))
    if not places or canonical(meaning(old.root)) == canonical(meaning(new.root)):
        return ()
    return places[:MAX_UNREAD]


def _item(found: Found, levels: Mapping[str, Severity | None]) -> DriftItem:
    message = RULES[found.rule].meaning
    if "from" in found.facts and "to" in found.facts:
        message += f", {_shown(found.facts['from'])} before and {_shown(found.facts['to'])} now"
    return DriftItem(
        kind="openapi",
        code=found.rule,
        severity=levels[found.rule] or Severity.INFO,
        place=found.place,
        message=message,
        facts=found.facts,
    )


def _shown(value: JSONValue) -> str:
    if isinstance(value, list):
        return " and ".join(map(_shown, islice(value, 5))) or "none"
    text = "none" if value in (None, "") else str(value)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 80 else f"{text[:80]}…"


def _cut(pairs: SchemaPairs) -> Iterator[Found]:
    if pairs.is_cut:
        yield Found("too-many-differences", "the document")


def _expired(ignore: Sequence[Ignored], today: str) -> Iterator[Found]:
    for entry in expired(ignore, today):
        yield Found("ignored-entry-expired", entry.written, {"until": entry.until})


def _by_template(document: Document) -> dict[_Key, Operation]:
    """Return the operations by what they are known by, however their variables are called."""
    every = (*document.operations, *document.outgoing)
    ordered = sorted(every, key=lambda each: each.path, reverse=True)
    return {_key(each): each for each in ordered}


def _key(operation: Operation) -> _Key:
    path = operation.path if operation.of else unnamed(operation.path)
    return unnamed(operation.of), path, operation.method


def _has_owner(key: _Key, known: Mapping[_Key, Operation]) -> bool:
    """Tell whether the operation is there whose callback this is, if it is one."""
    owner, is_callback, _ = key[0].partition(" callback ")
    method, _, path = owner.partition(" ")
    return not is_callback or ("", path, method) in known


def _found(old: Document, new: Document, pairs: SchemaPairs, today: str) -> Iterable[Found]:
    before, after = _by_template(old), _by_template(new)
    old_paths, new_paths = {key[:2] for key in before}, {key[:2] for key in after}
    for base in sorted(set(old.bases) - set(new.bases)):
        yield Found("base-path-removed", f"servers {base or '/'}")
    uses = []
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key), after.get(key)
        if not _has_owner(key, before) or not _has_owner(key, after):
            continue
        if one is None and other is not None:
            rule = "operation-added" if key[:2] in old_paths else "path-added"
            yield Found(rule, other.name)
        elif one is not None and other is None:
            yield removal(one, today, whole_path=key[:2] not in new_paths)
        elif one is not None and other is not None:
            yield from lifetime_changes(one, other, today)
            yield from security_changes(one, other, old, new)
            found, used = operation_changes(one, other, pairs)
            yield from found
            uses += used
    for use in uses:
        for path, change in pairs.changes(use.key):
            place = f"{use.place} {path}"
            yield Found(f"{use.side}-{change.rule}", place, change.facts)
