"""What must hold after a step."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from oneiric.documents import parse
from oneiric.documents.limits import Kind
from oneiric.errors import JSONValue, OneiricError
from oneiric.files import read_bounded
from oneiric.recipes.fitting import misfits, same
from oneiric.recipes.places import own, within
from oneiric.recipes.stdout import line_of

if TYPE_CHECKING:
    from oneiric.recipes.context import Context
    from oneiric.recipes.reading import Recipe

_LONGEST = 80
_MOST_BYTES = 1 << 20
_MISSING: Any = object()
_KINDS: Mapping[str, Kind] = MappingProxyType({".json": "json", ".yaml": "yaml", ".yml": "yaml"})
_ORDERS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {
        "gt": ("above", operator.gt),
        "ge": ("at least", operator.ge),
        "lt": ("below", operator.lt),
        "le": ("at most", operator.le),
    }
)


def unmet(success: Mapping[str, Any], context: Context, recipe: Recipe) -> list[str]:
    """Return everything that should hold after a step and does not, with what was found."""
    return list(_unmet(success, context, recipe))


def _unmet(success: Mapping[str, Any], context: Context, recipe: Recipe) -> Iterator[str]:
    for key in success.get("ctx_has_keys", ()):
        if key not in context:
            yield f"the context has no {key}"
    for match in success.get("ctx_match", ()):
        yield from _mismatches(match, context)
    for name in success.get("files_exist", ()):
        if not within(recipe, name).exists():
            yield f"there is no file {name}"
    for key, name in success.get("json_schema", {}).items():
        if key not in context:
            yield f"the context has no {key}"
            continue
        try:
            yield from misfits(context.get(key), _schema(recipe, name), key)
        except OneiricError as error:
            yield f"the schema {name} cannot be used: {error.message}"
        except (TypeError, ValueError, AttributeError, re.error, RecursionError) as error:
            yield f"the schema {name} cannot be used: one of its words says what it cannot: {error}"


def _mismatches(match: Mapping[str, Any], context: Context) -> Iterator[str]:
    """Yield what of one assertion does not hold."""
    key, path = str(match["key"]), str(match.get("path", ""))
    where = f"{key}.{path}" if path else key
    value = _at(context.get(key), path) if key in context else _MISSING
    if "exists" in match and (value is not _MISSING) != match["exists"]:
        yield f"{where} should {'' if match['exists'] else 'not '}be there"
    if value is _MISSING:
        if match.keys() - {"key", "path", "exists"}:
            yield f"there is no {where}"
        return
    for name, wanted in match.items():
        if name not in ("key", "path", "exists") and (how := _missed(name, value, wanted)):
            yield f"{where} is {_shown(value)}, {how}"


def _missed(name: str, value: Any, wanted: Any) -> str:
    """Return what *value* is not, or an empty text where it is what is wanted."""
    if name in _ORDERS:
        words, holds = _ORDERS[name]
        if type(value) not in (int, float):
            return "no number"
        return "" if holds(value, wanted) else f"not {words} {_shown(wanted)}"
    if name == "eq":
        return "" if same(value, wanted) else f"not {_shown(wanted)}"
    if name == "ne":
        return f"not anything but {_shown(wanted)}" if same(value, wanted) else ""
    if name == "in_":
        return "" if any(same(value, each) for each in wanted) else f"none of {_shown(wanted)}"
    if name == "matches":
        return _unlike(value, str(wanted))
    return "" if _contains(value, wanted) else f"without {_shown(wanted)}"


def _unlike(value: Any, pattern: str) -> str:
    try:
        is_found = isinstance(value, str) and re.search(pattern, value)
    except (re.error, RecursionError, OverflowError):
        return f"and {pattern} is no regular expression"
    return "" if is_found else f"no text that matches {pattern}"


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    if isinstance(value, Mapping):
        return isinstance(wanted, str) and wanted in value
    return isinstance(value, Sequence) and any(same(each, wanted) for each in value)


def _at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path: keys of tables, and numbers of lists."""
    for part in path.split(".") if path else ():
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _MISSING
    return value


def _shown(value: JSONValue) -> str:
    text = line_of(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _schema(recipe: Recipe, name: str) -> JSONValue:
    path = own(recipe, name)
    data = read_bounded(path, limit=_MOST_BYTES)
    return parse(data, _KINDS.get(path.suffix.lower(), "json"), source=name)
