"""Compare schemas of two documents, each pair once however often it is used."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeAlias

from oneiric.documents import canonical
from oneiric.errors import JSONValue
from oneiric.validation.openapi.document import Document
from oneiric.validation.openapi.references import reference_of
from oneiric.validation.openapi.schema_rules import Change, keyword_changes, type_changes
from oneiric.validation.openapi.shape import ANYTHING, Nodes, Shape, Shapes, ids, is_null

Key: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], str]
"""Two groups of schemas, and the side on which they are compared."""

MAX_PAIRS = 200_000
_VISITS = 16
_RECENT = 64
_LONGEST_PATH = 40


@dataclass(slots=True)
class _Pair:
    changes: list[Change] = field(default_factory=list)
    below: list[tuple[str, Key]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a walk stands: a pair, and by which step from which other spot it came there."""

    key: Key
    step: str
    above: _Spot | None


class SchemaPairs:
    """Compare schemas of *old* with those of *new*, and tell the differences at each use.

    What is the same on both sides costs one look for each pair of schemas.
    """

    def __init__(self, old: Document, new: Document) -> None:
        self._old = Shapes(old.references, old.version)
        self._new = Shapes(new.references, new.version)
        self._pairs: dict[Key, _Pair] = {}
        self._leading: set[Key] | None = None
        self.is_cut = False

    def add(self, old: JSONValue, new: JSONValue, side: str) -> Key:
        """Compare two schemas and everything below them; None stands for any value."""
        self._leading = None
        first = _nodes(old), _nodes(new)
        root = self._key(*first, side)
        waiting: list[tuple[Nodes, Nodes]] = [first]
        while waiting:
            before, after = waiting.pop()
            key = self._key(before, after, side)
            if key in self._pairs:
                continue
            pair = self._pairs[key] = _Pair()
            if len(self._pairs) > MAX_PAIRS:
                self.is_cut = True
                return root
            one, other = self._old.of(before, side), self._new.of(after, side)
            one, other = _lifted(one, before, other), _lifted(other, after, one)
            for step, left, right in self._differ(one, other, side, pair.changes):
                if left or right:
                    pair.below.append((step, self._key(left, right, side)))
                    waiting.append((left, right))
        return root

    def changes(self, root: Key) -> Iterator[tuple[str, Change]]:
        """Yield every difference below *root* with its path, those near it first."""
        leading = self._leads()
        visits: Counter[Key] = Counter()
        waiting = deque([_Spot(root, "$", None)] if root in leading else [])
        while waiting:
            spot = waiting.popleft()
            visits[spot.key] += 1
            pair = self._pairs[spot.key]
            if pair.changes:
                path = _path(spot)
                for change in pair.changes:
                    yield path + change.step, change
            for step, key in pair.below:
                if key in leading and visits[key] < _VISITS and not _is_above(spot, key):
                    waiting.append(_Spot(key, step, spot))

    def _key(self, old: Nodes, new: Nodes, side: str) -> Key:
        return ids(self._old.settled(old)), ids(self._new.settled(new)), side

    def _leads(self) -> set[Key]:
        """Return the pairs from which a difference can be reached."""
        if self._leading is None:
            above: dict[Key, list[Key]] = {}
            for key, pair in self._pairs.items():
                for _, lower in pair.below:
                    above.setdefault(lower, []).append(key)
            self._leading = {key for key, pair in self._pairs.items() if pair.changes}
            waiting = list(self._leading)
            while waiting:
                for key in above.get(waiting.pop(), ()):
                    if key not in self._leading:
                        self._leading.add(key)
                        waiting.append(key)
        return self._leading

    def _differ(
        self, old: Shape, new: Shape, side: str, changes: list[Change]
    ) -> Iterator[tuple[str, Nodes, Nodes]]:
        """Note how two shapes differ; yield what is to be compared below them."""
        changes += type_changes(old, new)
        if _is_another(old, new) and not (old.unions and new.unions):
            return
        changes += keyword_changes(old, new)
        yield from self._properties(old, new, side, changes)
        yield from _items(old, new)
        yield from self._unions(old, new, changes)

    def _properties(
        self, old: Shape, new: Shape, side: str, changes: list[Change]
    ) -> Iterator[tuple[str, Nodes, Nodes]]:
        is_request = side == "request"
        for name in sorted(old.properties.keys() | new.properties.keys()):
            step = _step(name)
            before, after = old.properties.get(name), new.properties.get(name)
            if before is None:
                has_default = self._new.has_default(after or ())
                rule = _added(is_request, name in new.required, has_default)
                changes.append(Change(rule, step=step))
            elif after is None:
                rule = _removed(is_request, name in old.required, new.extra is None)
                changes.append(Change(rule, step=step))
            else:
                if (name in old.required) != (name in new.required):
                    has_default = is_request and self._new.has_default(after)
                    rule = _required(name in new.required, has_default)
                    changes.append(Change(rule, step=step))
                yield step, before, after
        if (old.extra is None) != (new.extra is None):
            word = "forbidden" if new.extra is None else "allowed"
            changes.append(Change(f"additional-properties-{word}"))
        elif old.extra is not None and new.extra is not None:
            yield ".*", old.extra, new.extra

    def _unions(
        self, old: Shape, new: Shape, changes: list[Change]
    ) -> Iterator[tuple[str, Nodes, Nodes]]:
        for before, after in zip_longest(old.unions, new.unions):
            if before is None or after is None:
                changes.append(Change("union-added" if before is None else "union-removed"))
                continue
            gone = [each for each in before if not is_null(each)]
            come = [each for each in after if not is_null(each)]
            labels = {**_labels(before), **_labels(after)}
            for left, right in _paired(gone, come):
                yield labels[id(right)], (left,), (right,)
            changes += [Change("branch-removed", step=labels[id(each)]) for each in gone]
            changes += [Change("branch-added", step=labels[id(each)]) for each in come]


def _nodes(schema: JSONValue) -> Nodes:
    return (schema,) if (isinstance(schema, dict) and schema) or schema is False else ()


def _is_another(old: Shape, new: Shape) -> bool:
    """Tell whether the types differ so much that nothing below them can be compared."""
    if old.types == new.types:
        return False
    return ANYTHING in (old.types, new.types) or not old.types & new.types


def _lifted(shape: Shape, nodes: Nodes, other: Shape) -> Shape:
    """Take a schema for a union of one, where the other is a union and nothing else."""
    if shape.unions or not other.is_bare_union or len(nodes) != 1:
        return shape
    return Shape(nullable=shape.nullable, unions=[nodes], default=shape.default)


def _added(is_request: bool, is_required: bool, has_default: bool) -> str:  # noqa: FBT001
    if not is_request:
        return "property-added"
    if not is_required:
        return "optional-property-added"
    return "required-property-with-default-added" if has_default else "required-property-added"


def _removed(is_request: bool, was_required: bool, is_closed: bool) -> str:  # noqa: FBT001
    if is_request:
        return "property-now-refused" if is_closed else "property-removed"
    return "required-property-removed" if was_required else "optional-property-removed"


def _required(is_required: bool, has_default: bool) -> str:  # noqa: FBT001
    if not is_required:
        return "property-became-optional"
    return "property-with-default-became-required" if has_default else "property-became-required"


def _items(old: Shape, new: Shape) -> Iterator[tuple[str, Nodes, Nodes]]:
    if old.items or new.items:
        yield "[]", old.items, new.items
    for index in range(max(len(old.prefix), len(new.prefix))):
        before = old.prefix[index] if index < len(old.prefix) else old.items
        after = new.prefix[index] if index < len(new.prefix) else new.items
        yield f"[{index}]", before, after


def _paired(gone: list[JSONValue], come: list[JSONValue]) -> list[tuple[JSONValue, JSONValue]]:
    """Take from both lists what belongs together: what is the same first, then what is alike."""
    pairs: list[tuple[JSONValue, JSONValue]] = []
    for alike in (_identity, _likeness):
        by_likeness: dict[object, deque[JSONValue]] = {}
        for branch in gone:
            by_likeness.setdefault(alike(branch), deque()).append(branch)
        for branch in come:
            same = by_likeness.get(alike(branch))
            if same:
                pairs.append((same.popleft(), branch))
        taken = {id(each) for pair in pairs for each in pair}
        gone[:] = [each for each in gone if id(each) not in taken]
        come[:] = [each for each in come if id(each) not in taken]
    if len(gone) == len(come):
        pairs += zip(gone, come, strict=True)
        gone.clear()
        come.clear()
    return pairs


def _identity(branch: JSONValue) -> object:
    return reference_of(branch) or canonical(branch)


def _likeness(branch: JSONValue) -> object:
    if not isinstance(branch, dict) or reference_of(branch):
        return branch if isinstance(branch, bool) else reference_of(branch)
    properties = branch.get("properties")
    names = frozenset(properties) if isinstance(properties, dict) else frozenset()
    return str(branch.get("title", "")), str(branch.get("type", "")), names


def _labels(group: Sequence[JSONValue]) -> dict[int, str]:
    return {id(each): f"<{_label(each) or index}>" for index, each in enumerate(group)}


def _label(branch: JSONValue) -> str:
    reference = reference_of(branch)
    if reference:
        return reference.rpartition("/")[2]
    title = branch.get("title") if isinstance(branch, dict) else None
    return title if isinstance(title, str) and title.isprintable() else ""


def _step(name: str) -> str:
    if name.replace("_", "a").replace("-", "a").isalnum():
        return f".{name}"
    quoted = ascii(name)[1:-1].replace('"', '\\"')
    return f'["{quoted[:100]}"]'


def _is_above(spot: _Spot, key: Key) -> bool:
    above: _Spot | None = spot
    for _ in range(_RECENT):
        if above is None:
            return False
        if above.key == key:
            return True
        above = above.above
    return False


def _path(spot: _Spot) -> str:
    steps = []
    above: _Spot | None = spot
    while above is not None:
        steps.append(above.step)
        above = above.above
    steps.reverse()
    if len(steps) > _LONGEST_PATH:
        half = _LONGEST_PATH // 2
        steps = [*steps[:half], "…", *steps[-half:]]
    return "".join(steps)
