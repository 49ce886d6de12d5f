"""What a schema allows, with its parts put together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from oneiric.documents import canonical
from oneiric.errors import JSONValue
from oneiric.validation.openapi.references import References, Table, meaning, reference_of

Nodes: TypeAlias = tuple[JSONValue, ...]
"""Schemas that all hold; none at all allows anything."""

Bound: TypeAlias = tuple[float, bool]
"""A bound, and whether it is itself outside."""

ANYTHING = frozenset({"string", "integer", "fraction", "boolean", "object", "array"})
"""Every type of value but null, which is looked at by itself."""

UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
LOWER = ("minimum", "minLength", "minItems", "minProperties")
_BOUNDING = frozenset({*UPPER, *LOWER, "exclusiveMaximum", "exclusiveMinimum"})
_OPAQUE = (
    *("not", "if", "then", "else", "contains", "minContains", "maxContains", "propertyNames"),
    *("dependentRequired", "dependentSchemas", "dependencies", "patternProperties"),
    *("unevaluatedItems", "contentEncoding", "contentMediaType"),
)
_BY_NAME = ("dependentSchemas", "patternProperties")
_NULLS = ({"type": "null"}, {"type": ["null"]}, {"enum": [None]}, {"const": None})
_BARE = frozenset({"type", "title", "description", "example", "examples"})


@dataclass(frozen=True, slots=True)
class Part:
    """One schema of those that hold together.

    Args:
        node: the schema.
        nullable: whether null is allowed whatever it says.
        listed: whether it was reached by `allOf`.
    """

    node: Table
    nullable: bool
    listed: bool


@dataclass(slots=True)
class Shape:
    """What schemas that hold together allow.

    Args:
        types: of values; `number` is `integer` and `fraction`.
        nullable: whether null is one of them.
        enum: the only values, as canonical JSON; None for any.
        is_const: whether they are given as one constant.
        bounds: by keyword; exclusive ones under that of their inclusive twin.
        format, patterns, multiples: as they are written.
        unique: whether the items of a list must differ.
        default: canonical JSON of it, or empty.
        properties: by name, without those that this direction never carries.
        required: names of those that must be there.
        extra: what further properties must look like; None when there may be none.
        items: what items must look like.
        prefix: what the first items must look like.
        unions: groups of schemas of which some must hold.
        opaque: constraints that are compared as a whole, and whether `allOf` brought each.
        discriminator: the property that tells the schemas of a union apart.
    """

    types: frozenset[str] = ANYTHING
    nullable: bool = True
    enum: frozenset[bytes] | None = None
    is_const: bool = False
    bounds: dict[str, Bound] = field(default_factory=dict)
    format: str = ""
    patterns: frozenset[str] = frozenset()
    multiples: frozenset[float] = frozenset()
    unique: bool = False
    default: bytes = b""
    properties: dict[str, Nodes] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    extra: Nodes | None = ()
    items: Nodes = ()
    prefix: tuple[Nodes, ...] = ()
    unions: list[Nodes] = field(default_factory=list)
    opaque: dict[tuple[str, bytes], bool] = field(default_factory=dict)
    discriminator: str = ""

    @property
    def is_bare_union(self) -> bool:
        """Whether it is one group of schemas, and nothing besides."""
        return (
            len(self.unions) == 1
            and self.types == ANYTHING
            and not (self.properties or self.required or self.enum or self.bounds or self.opaque)
        )


class Shapes:
    """Make shapes of the schemas of one document, each once."""

    __slots__ = ("_made", "_parts", "modern", "references")

    def __init__(self, references: References, version: str) -> None:
        self.references = references
        self.modern = version != "3.0"
        self._parts: dict[tuple[int, ...], tuple[list[Part], list[Nodes], bool]] = {}
        self._made: dict[tuple[tuple[int, ...], str], Shape] = {}

    def of(self, nodes: Nodes, side: str) -> Shape:
        """Return what *nodes* allow together on one *side*, `request` or `response`."""
        key = ids(nodes), side
        if key not in self._made:
            self._made[key] = self._shape(nodes, side)
        return self._made[key]

    def settled(self, nodes: Nodes) -> Nodes:
        """Return what *nodes* refer to, where they say nothing else."""
        return tuple(
            self.references.follow(node)
            if isinstance(node, Mapping) and (len(node) == 1 or not self.modern)
            else node
            for node in nodes
        )

    def is_marked(self, nodes: Nodes, key: str) -> bool:
        """Tell whether one of *nodes* says that it is `readOnly`, `writeOnly` or the like."""
        return any(part.node.get(key) is True for part in self._flat(nodes)[0])

    def has_default(self, nodes: Nodes) -> bool:
        """Tell whether a value that is left out is known."""
        return any("default" in part.node for part in self._flat(nodes)[0])

    def _shape(self, nodes: Nodes, side: str) -> Shape:
        parts, unions, never = self._flat(nodes)
        shape = Shape(unions=unions)
        if never:
            return Shape(types=frozenset(), nullable=False)
        if len(shape.unions) > 0:
            shape.nullable = all(self._allows_null(group) for group in unions)
        for part in parts:
            _restrict_types(shape, part)
            _restrict_values(shape, part)
            _restrict_bounds(shape, part.node, modern=self.modern)
            _add_properties(shape, part.node)
            _add_items(shape, part.node)
            _add_opaque(shape, part)
        _imply_types(shape, nullable=any(part.nullable for part in parts))
        self._drop_one_way(shape, side)
        return shape

    def _drop_one_way(self, shape: Shape, side: str) -> None:
        for name in sorted(shape.required - shape.properties.keys()):
            shape.properties[name] = ()
        mark = "readOnly" if side == "request" else "writeOnly"
        gone = [name for name, each in shape.properties.items() if self.is_marked(each, mark)]
        for name in gone:
            del shape.properties[name]
        shape.required -= frozenset(gone)

    def _allows_null(self, group: Nodes) -> bool:
        for node in group:
            found = self.references.follow(node)
            if found is True or found == {} or found in _NULLS:
                return True
            if isinstance(found, Mapping):
                kind = found.get("type")
                if "null" in (kind if isinstance(kind, list) else [kind]):
                    return True
                if found.get("nullable") is True and not self.modern:
                    return True
        return False

    def _flat(self, nodes: Nodes) -> tuple[list[Part], list[Nodes], bool]:
        key = ids(nodes)
        if key not in self._parts:
            self._parts[key] = self._flatten(nodes)
        return self._parts[key]

    def _flatten(self, nodes: Nodes) -> tuple[list[Part], list[Nodes], bool]:
        parts: list[Part] = []
        unions: list[Nodes] = []
        seen: set[int] = set()
        waiting = [(node, False, False) for node in reversed(nodes)]
        never = False
        while waiting:
            node, nullable, listed = waiting.pop()
            never = never or node is False or _is_never(node)
            if not isinstance(node, Mapping) or id(node) in seen:
                continue
            seen.add(id(node))
            nullable = nullable or (not self.modern and node.get("nullable") is True)
            if reference_of(node):
                waiting.append((self.references.follow(node), nullable, listed))
                if not self.modern:
                    continue
            parts.append(Part(node, nullable, listed))
            every = node.get("allOf")
            waiting += [(each, nullable, True) for each in _schemas(every)]
            waiting += self._choices(node, unions, nullable=nullable, listed=listed)
        return parts, unions, never

    def _choices(
        self, node: Table, unions: list[Nodes], *, nullable: bool, listed: bool
    ) -> Iterator[tuple[JSONValue, bool, bool]]:
        """Keep each group of schemas of which some must hold; yield the only one of a group."""
        for word in ("oneOf", "anyOf"):
            group = _schemas(node.get(word))
            if not group:
                continue
            real = tuple(each for each in group if each not in _NULLS)
            with_null = nullable or len(real) < len(group)
            if len(real) == 1:
                yield real[0], with_null, listed
            elif all(isinstance(each, Mapping) and each.keys() <= _BARE for each in real):
                continue  # looked at with the types
            else:
                unions.append(tuple(group) if not nullable else (*real, _NULLS[0]))


def ids(nodes: Nodes) -> tuple[int, ...]:
    """Return what tells these schemas from any others, as long as their document lives."""
    return tuple(dict.fromkeys(map(id, nodes)))


def _schemas(value: JSONValue) -> list[JSONValue]:
    listed = value if isinstance(value, list) else []
    return [each for each in listed if isinstance(each, Mapping | bool)]


def _types(value: JSONValue) -> tuple[frozenset[str], bool] | None:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        return None
    found = {each for each in names if isinstance(each, str)}
    if "number" in found:
        found |= {"integer", "fraction"}
    return frozenset(found & ANYTHING), "null" in found


def _restrict_types(shape: Shape, part: Part) -> None:
    node = part.node
    told = [_types(node.get("type"))]
    for word in ("oneOf", "anyOf"):
        group = _schemas(node.get(word))
        real = [each for each in group if each not in _NULLS]
        tables = [each for each in real if isinstance(each, Mapping) and each.keys() <= _BARE]
        each_type = [_types(each.get("type")) for each in tables]
        if len(real) != 1 and len(tables) == len(real) and group and all(each_type):
            kinds = [each for each in each_type if each]
            all_of_them = frozenset().union(*(kind for kind, _ in kinds))
            told.append((all_of_them, len(real) < len(group) or any(null for _, null in kinds)))
    for each in told:
        if each is not None:
            shape.types &= each[0]
            shape.nullable = shape.nullable and (each[1] or part.nullable)


def _restrict_values(shape: Shape, part: Part) -> None:
    node = part.node
    for word in ("enum", "const"):
        if word not in node:
            continue
        given = node[word] if word == "enum" else [node[word]]
        if not isinstance(given, list):
            continue
        values = frozenset(canonical(each) for each in given)
        shape.nullable = shape.nullable and (b"null" in values or part.nullable)
        values -= {b"null"}
        shape.enum = values if shape.enum is None else shape.enum & values
        shape.is_const = shape.is_const or word == "const"
    if "default" in node:
        shape.default = shape.default or canonical(node["default"])
    shape.format = shape.format or _text(node.get("format"))
    if pattern := _text(node.get("pattern")):
        shape.patterns |= {pattern}
    multiple = _number(node.get("multipleOf"))
    if multiple:
        shape.multiples |= {multiple}
    shape.unique = shape.unique or node.get("uniqueItems") is True


def _restrict_bounds(shape: Shape, node: Table, *, modern: bool) -> None:
    if node.keys().isdisjoint(_BOUNDING):
        return
    for words, sign in ((UPPER, 1), (LOWER, -1)):
        for word in words:
            for bound in _bounds(node, word, modern=modern):
                known = shape.bounds.get(word)
                if known is None or is_tighter(bound, known, sign):
                    shape.bounds[word] = bound


def _bounds(node: Table, word: str, *, modern: bool) -> Iterator[Bound]:
    value = _number(node.get(word))
    outside = node.get(f"exclusive{word[0].upper()}{word[1:]}")
    if value is not None and (value > 0 or word in ("minimum", "maximum") or word in UPPER):
        yield value, outside is True and not modern
    if modern and (beyond := _number(outside)) is not None:
        yield beyond, True


def is_tighter(one: Bound, other: Bound, sign: int) -> bool:
    """Tell whether *one* allows less than *other*; *sign* is 1 for upper bounds, -1 for lower."""
    if one[0] == other[0]:
        return one[1] and not other[1]
    return one[0] * sign < other[0] * sign


def _add_properties(shape: Shape, node: Table) -> None:
    properties = node.get("properties")
    for name, each in properties.items() if isinstance(properties, Mapping) else ():
        known = shape.properties.get(name, ())
        if not any(each is one for one in known):
            shape.properties[name] = (*known, each)
    required = node.get("required")
    if isinstance(required, list):
        shape.required |= {each for each in required if isinstance(each, str)}
    extra = node.get("additionalProperties", node.get("unevaluatedProperties", True))
    if extra is False:
        shape.extra = None
    elif isinstance(extra, Mapping) and extra and shape.extra is not None:
        shape.extra = (*shape.extra, extra)


def _add_items(shape: Shape, node: Table) -> None:
    items = node.get("items")
    if isinstance(items, Mapping | bool) and items is not True:
        shape.items = (*shape.items, items)
    prefix = node.get("prefixItems", items if isinstance(items, list) else None)
    if isinstance(prefix, list):
        shape.prefix = tuple((each,) for each in prefix)


def _add_opaque(shape: Shape, part: Part) -> None:
    node = part.node
    for word in _OPAQUE:
        if word in node:
            key = word, canonical(meaning(node[word], named=word in _BY_NAME))
            shape.opaque[key] = shape.opaque.get(key, True) and part.listed
    discriminator = node.get("discriminator")
    if isinstance(discriminator, Mapping):
        shape.discriminator = _text(discriminator.get("propertyName"))


def _imply_types(shape: Shape, *, nullable: bool) -> None:
    if shape.types != ANYTHING or shape.unions:
        return
    if shape.enum is not None:
        shape.types = frozenset().union(*(_type_of(each) for each in shape.enum))
    elif shape.properties or shape.required or shape.extra != ():
        shape.types, shape.nullable = frozenset({"object"}), nullable
    elif shape.items or shape.prefix:
        shape.types, shape.nullable = frozenset({"array"}), nullable


def _type_of(value: bytes) -> Sequence[str]:
    first = value[:1]
    if first in b'"{[tf':
        return {b'"': ("string",), b"{": ("object",), b"[": ("array",)}.get(first, ("boolean",))
    return ("fraction",) if b"." in value else ("integer",)


def _number(value: JSONValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def _text(value: JSONValue) -> str:
    return value if isinstance(value, str) else ""


def is_null(node: JSONValue) -> bool:
    """Tell whether a schema allows null, and nothing else."""
    return node in _NULLS


def _is_never(node: JSONValue) -> bool:
    """Tell whether a schema forbids whatever is allowed by one that allows everything."""
    return isinstance(node, Mapping) and (node.get("not") is True or node.get("not") == {})
