"""What whoever runs a recipe gives it: texts or values, checked against what it declares."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.documents import json_value, parse
from oneiric.errors import DocumentError, InvalidError, JSONValue, Problem, unknown
from oneiric.recipes.arranging import Misplaced
from oneiric.recipes.errors import InputError
from oneiric.recipes.recipe import InputSpec

if TYPE_CHECKING:
    from oneiric.recipes.reading import Recipe

_NUMBER = re.compile(r"[+-]?\d{1,16}")
_TRUTHS: Mapping[str, bool] = MappingProxyType(
    {"true": True, "yes": True, "on": True, "1": True}
    | {"false": False, "no": False, "off": False, "0": False}
)
_KINDS: Mapping[str, tuple[type, str]] = MappingProxyType(
    {
        "str": (str, "a text"),
        "int": (int, "a whole number"),
        "float": (float, "a number"),
        "bool": (bool, "true or false"),
        "path": (str, "a path"),
        "list": (list, "a list"),
        "dict": (dict, "a table"),
    }
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of one run: those that its journal may hold, and those that nothing may.

    `secret` ones are told only to the steps that name them, when they are done.
    """

    open: Mapping[str, JSONValue] = field(default_factory=dict)
    secret: Mapping[str, JSONValue] = field(default_factory=dict, repr=False)


def params(texts: Iterable[str]) -> dict[str, str]:
    """Return the inputs that `name=value` texts give; the last of one name counts.

    >>> params(["src=data.csv", "where=a=b"])
    {'src': 'data.csv', 'where': 'a=b'}

    Raises:
        InvalidError: one has no `=`.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InvalidError("an input is given as name=value", hint="--param limit=100")
        found[name.strip()] = value
    return found


def checked_inputs(recipe: Recipe, given: Mapping[str, object]) -> Inputs:
    """Return the inputs of a run of *recipe*, with defaults for what is not *given*.

    A text stands for a value of any type, as on a command line; lists and tables are JSON.
    What is not required and has no default is null.

    Raises:
        InputError: every input that nobody declared, that is missing, or that is wrong.
    """
    declared, problems = recipe.spec.inputs, list[Problem]()
    values: dict[str, JSONValue] = {}
    for name in given:
        if name not in declared:
            what = f"there is no input {unknown(name, declared)}"
            problems.append(recipe.problem("inputs", what))
    for name, spec in declared.items():
        at = f"inputs.{name}"
        if name not in given:
            if is_required(spec):
                problems.append(recipe.problem(at, "it is required"))
            elif spec.default is not None and (why := _missing(spec, recipe.folder, spec.default)):
                problems.append(recipe.problem(at, why))
            values[name] = spec.default
            continue
        wrong = list(wrong_with(spec, given[name]))
        if not wrong:
            value = values[name] = typed(spec, given[name])
            wrong = [_missing(spec, recipe.folder, value)]
        problems += [recipe.problem(at, why) for why in wrong if why]
    if problems:
        raise InputError(str(recipe.path), problems)
    return Inputs(
        {name: value for name, value in values.items() if not declared[name].secret},
        {name: value for name, value in values.items() if declared[name].secret},
    )


def wrong_with(spec: InputSpec, value: object) -> Iterator[str]:
    """Yield why an input cannot be *value*, wherever a path leads."""
    try:
        found = typed(spec, value)
    except InvalidError as error:
        yield error.message
        return
    yield from _outside(spec, found)


def is_required(spec: InputSpec) -> bool:
    """Tell whether an input has to be given: if it says so, or says nothing and has no default."""
    return spec.default is None if spec.required is None else spec.required


def typed(spec: InputSpec, value: object) -> JSONValue:
    """Return *value* as the type that its input declares.

    Raises:
        InvalidError: it is of another type; no value is quoted.
    """
    kind, told = _KINDS[spec.type]
    wrong = InvalidError(f"it must be {told}")
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, str) and kind is not str:
        value = _read(spec.type, value, wrong)
    if kind is float and type(value) is int:
        value = float(value)
    try:
        plain = json_value(value)
    except DocumentError:
        raise wrong from None
    if type(plain) is not kind:
        raise wrong
    return plain


def misdeclared(name: str, spec: InputSpec) -> Iterator[Misplaced]:
    """Yield what in the declaration of an input cannot be met, or says nothing."""
    at = f"inputs.{name}"
    if (spec.min is not None or spec.max is not None) and spec.type not in ("int", "float"):
        yield Misplaced(at, "min and max are for numbers")
    elif spec.min is not None and spec.max is not None and spec.min > spec.max:
        yield Misplaced(f"{at}.min", "it is above max")
    if spec.must_exist and spec.type != "path":
        yield Misplaced(f"{at}.must_exist", "it is for paths")
    if spec.pattern and (why := _no_pattern(spec)):
        yield Misplaced(f"{at}.pattern", why)
        return
    values = {f"choices.{number}": each for number, each in enumerate(spec.choices)}
    if spec.default is not None:
        values["default"] = spec.default
    for key, value in values.items():
        try:
            found = typed(spec, value)
        except InvalidError as error:
            yield Misplaced(f"{at}.{key}", error.message)
            continue
        for why in _outside(spec, found):
            yield Misplaced(f"{at}.{key}", why)


def _no_pattern(spec: InputSpec) -> str:
    if spec.type not in ("str", "path"):
        return "a pattern is for texts"
    try:
        re.compile(spec.pattern)
    except (re.error, RecursionError, OverflowError):
        return "it is no regular expression"
    return ""


def _read(kind: str, text: str, wrong: InvalidError) -> object:
    """Return what a text stands for."""
    readers: Mapping[str, Callable[[str], object]] = {
        "int": lambda each: int(each) if _NUMBER.fullmatch(each) else None,
        "float": float,
        "bool": lambda each: _TRUTHS.get(each.lower()),
        "list": lambda each: parse(each.encode(), "json"),
        "dict": lambda each: parse(each.encode(), "json"),
    }
    try:
        found = readers[kind](text.strip())
    except (ValueError, DocumentError):
        raise wrong from None
    if found is None or (isinstance(found, float) and not math.isfinite(found)):
        raise wrong
    return found


def _outside(spec: InputSpec, value: JSONValue) -> Iterator[str]:
    """Yield how a value of the right type is not among those that may be given."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and spec.min is not None and value < spec.min:  # type: ignore[operator]
        yield f"it must be {spec.min:g} at least"
    if is_number and spec.max is not None and value > spec.max:  # type: ignore[operator]
        yield f"it must be {spec.max:g} at most"
    if spec.choices and value not in [_or_none(spec, each) for each in spec.choices]:
        told = "" if spec.secret else f" of {', '.join(map(_told, spec.choices))}"
        yield f"it must be one{told}" if told else "it is none of the choices"
    if spec.pattern and isinstance(value, str) and not re.fullmatch(spec.pattern, value):
        yield "it does not fit the pattern" + ("" if spec.secret else f" {spec.pattern}")


def _or_none(spec: InputSpec, value: JSONValue) -> JSONValue:
    try:
        return typed(spec, value)
    except InvalidError:
        return None


def _told(value: JSONValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _missing(spec: InputSpec, folder: Path, value: JSONValue) -> str:
    if spec.type != "path" or not spec.must_exist or not isinstance(value, str):
        return ""
    try:
        found = (folder / value).exists()
    except (OSError, ValueError):
        found = False
    return "" if found else "there is no such file" + ("" if spec.secret else f": {value}")
