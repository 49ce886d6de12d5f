"""How callers prove who they are, before and now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from oneiric.errors import JSONValue
from oneiric.validation.openapi.changes import Found
from oneiric.validation.openapi.document import Document
from oneiric.validation.openapi.operations import Operation
from oneiric.validation.openapi.references import EMPTY, Table
from oneiric.validation.openapi.schema_rules import between

_MEANT = ("type", "in", "name", "scheme", "openIdConnectUrl")


def security_changes(
    old: Operation, new: Operation, before: Document, after: Document
) -> Iterator[Found]:
    """Yield how the ways to prove who calls differ between two operations."""
    place = f"{old.name} security"
    if old.requires_authentication != new.requires_authentication:
        rule = "security-added" if new.requires_authentication else "security-dropped"
        yield Found(rule, place, between(_listed(old), _listed(new)))
        return
    for way in old.security:
        if not any(_is_enough(way, other) for other in new.security or ({},)):
            yield _refused(way, new, place)
    for way in new.security:
        if not any(_is_enough(way, other) for other in old.security or ({},)):
            same = [each for each in old.security if each.keys() == way.keys()]
            if not same:
                yield Found("security-requirement-added", f"{place} {_name(way)}")
    yield from _fewer_scopes(old, new, place)
    yield from _schemes(old, new, place, _defined(before), _defined(after))


def _is_enough(way: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> bool:
    """Tell whether whoever proves *way* has proved *other* too."""
    return all(name in way and scopes <= way[name] for name, scopes in other.items())


def _refused(way: Mapping[str, frozenset[str]], new: Operation, place: str) -> Found:
    for other in new.security:
        if other.keys() == way.keys():
            more = {scope for name in way for scope in other[name] - way[name]}
            return Found("security-scope-added", f"{place} {_name(way)}", {"scopes": sorted(more)})
    return Found("security-requirement-removed", f"{place} {_name(way)}")


def _fewer_scopes(old: Operation, new: Operation, place: str) -> Iterator[Found]:
    gone = [way for way in old.security if way not in new.security]
    come = [way for way in new.security if way not in old.security]
    for way in gone:
        for other in come:
            if other.keys() == way.keys() and _is_enough(way, other):
                less = {scope for name in way for scope in way[name] - other[name]}
                yield Found(
                    "security-scope-removed", f"{place} {_name(way)}", {"scopes": sorted(less)}
                )


def _schemes(
    old: Operation,
    new: Operation,
    place: str,
    before: Mapping[str, Table],
    after: Mapping[str, Table],
) -> Iterator[Found]:
    used = {name for way in old.security for name in way}
    for name in sorted(used & {name for way in new.security for name in way}):
        one, other = before.get(name, EMPTY), after.get(name, EMPTY)
        changed = [key for key in _MEANT if _same(one.get(key)) != _same(other.get(key))]
        if changed:
            facts: dict[str, JSONValue] = {"keywords": sorted(changed)}
            yield Found("security-scheme-changed", f"{place} {name}", facts)


def _same(value: JSONValue) -> JSONValue:
    return value.lower() if isinstance(value, str) else value


def _defined(document: Document) -> Mapping[str, Table]:
    components = document.references.table(document.root.get("components"))
    schemes = document.references.table(components.get("securitySchemes", EMPTY))
    return {name: document.references.table(each) for name, each in schemes.items()}


def _name(way: Mapping[str, frozenset[str]]) -> str:
    return "+".join(sorted(way)) or "nobody"


def _listed(operation: Operation) -> str:
    return " or ".join(_name(way) for way in operation.security) or "nobody"
