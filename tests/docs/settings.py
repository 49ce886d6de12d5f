"""Settings models as reference pages: every key with its type, default and meaning."""

import ast
import importlib
import importlib.util
import inspect
import json
import runpy
import textwrap
import types
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from unittest import mock

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from oneiric.adapters import plugin
from oneiric.config.paths import NAMES
from oneiric.config.profiles import PROFILES
from oneiric.core.candidate import Candidate
from oneiric.runtime.settings import SECTIONS, VARIABLES
from tests.architecture.source import House
from tests.docs.docstrings import markdown_of
from tests.docs.markdown import HEADER

WORDS: Mapping[object, str] = {
    str: "text",
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    SecretStr: "text, secret",
    datetime: "time",
}
BOUNDS: Mapping[str, str] = {
    "gt": "above {}",
    "ge": "at least {}",
    "lt": "below {}",
    "le": "at most {}",
}


def configuration_page(_house: House) -> str:
    """Return the page of every section of the configuration and its keys."""
    files = ", ".join(f"`{name}`" for name in NAMES)
    single = "; ".join(f"`{name}` sets `{key}`" for name, key in VARIABLES.items())
    lines = [
        HEADER,
        "# Configuration\n",
        "For whoever writes a configuration file. How to go about it is told under",
        "[configure](../how-to/configure.md).\n",
        "The file is the one named by `--config` or `ONEIRIC_CONFIG`; else the one of",
        f"{files}",
        "in the working directory, of which there may be one; else the table `[tool.oneiric]` of",
        "`pyproject.toml` there. Over it lies the profile named by `--profile` or",
        "`ONEIRIC_PROFILE`, and over both lie variables named `ONEIRIC_SECTION__KEY`: text for",
        "a single value, JSON for a list or table. Unknown sections, keys and such variables are",
        f"errors. Besides, {single}.\n",
    ]
    shared: dict[type[BaseModel], list[str]] = {}
    for name, model in SECTIONS.items():
        shared.setdefault(model, []).append(name)
    for model, names in shared.items():
        lines.append(f"## {', '.join(names)}\n")
        lines.append(markdown_of(inspect.getdoc(model) or ""))
        lines += _table(model, "key", meanings(model))
        for key, inner in _inner(model):
            is_list = get_origin(model.model_fields[key].annotation) is tuple
            lines.append(f"### {names[0]}.{key}{'' if is_list else '.NAME'}\n")
            lines.append(markdown_of(inspect.getdoc(inner) or ""))
            lines += _table(inner, "key", meanings(inner))
    lines += [
        "## profiles\n",
        "`[profiles.NAME]` holds sections, laid over the file when the profile is asked for.",
        "Built in are:\n",
        "| profile | sets |",
        "|---|---|",
        *(f"| `{name}` | {_sets(values)} |" for name, values in PROFILES.items()),
        "\nA profile of the file may have the name of a built-in one and is laid over that.\n",
    ]
    return "\n".join(lines)


def _inner(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the fields that are tables of further models, each with its model."""
    for name, field in model.model_fields.items():
        for part in get_args(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield name, part


def _sets(values: Mapping[str, Any]) -> str:
    keys = [
        f"`{section}.{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}`"
        for section, entries in values.items()
        for key, value in entries.items()
    ]
    return ", ".join(keys) or "nothing"


def providers_page(_house: House) -> str:
    """Return the page of the built-in providers: what each can do, and its settings."""
    lines = [
        HEADER,
        "# Providers\n",
        "For whoever chooses a provider or writes its settings. These come with the package; what",
        "an installation really has is listed by `oneiric list` and `oneiric list --shadowed`.",
        "All have stack level 0. What embeds itself outranks what needs a server, so installing",
        "an extra changes no winner.\n",
        "| offer | priority | capabilities | extra | requires |",
        "|---|---|---|---|---|",
    ]
    extras = extras_of_offers()
    offers = plugin.PLUGIN.candidates
    for offer in offers:
        extra = f"`oneiric[{extras[offer.offer]}]`" if extras[offer.offer] else ""
        needs = ", ".join(f"`{ref}`" for ref in offer.requires.values())
        words = ", ".join(f"`{word}`" for word in sorted(offer.capabilities))
        lines.append(f"| `{offer.offer}` | {offer.priority} | {words} | {extra} | {needs} |")
    lines += [
        "\nSettings of a provider stand under `[adapters.provider_settings.PROVIDER]`, or under",
        '`[adapters.provider_settings."KEY@PROVIDER"]`, which is laid over it key by key. Unknown',
        "keys are errors. Values marked secret are shown nowhere.\n",
    ]
    for offer in offers:
        lines += _provider(offer)
    return "\n".join(lines)


def extras_of_offers() -> dict[str, str]:
    """Return the extra that each built-in offer needs: what it says where nothing is installed."""
    with mock.patch.object(importlib.util, "find_spec", return_value=None):
        bare = runpy.run_path(inspect.getfile(plugin))["PLUGIN"]
    return {
        str(offer.offer): offer.unavailable.partition("[")[2].rstrip("]")
        for offer in bare.candidates
    }


def _provider(offer: Candidate) -> Iterator[str]:
    model, factory = _target(offer.settings_model), _target(offer.factory)
    yield f"## {offer.offer}\n"
    yield markdown_of(inspect.getdoc(factory) or "")
    if model.model_fields:
        yield f"**Settings.** {inspect.getdoc(model)}\n"
        yield from _table(model, "setting", {})


def _target(text: object) -> Any:
    assert isinstance(text, str)
    module, _, attribute = text.partition(":")
    return getattr(importlib.import_module(module), attribute)


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstring below each field of *model*, or of what it extends, says."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)
    above = [base for base in model.__bases__ if issubclass(base, BaseModel) and base.model_fields]
    told = {name: text for base in above for name, text in meanings(base).items()}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            value = below.value if isinstance(below, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                told[field.target.id] = " ".join(value.value.split())
    return told


def model_table(
    model: type[BaseModel], head: str, told: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Give the table of the fields of *model*, with type, default and what is *told* of each."""
    return _table(model, head, told or {})


def _table(model: type[BaseModel], head: str, told: Mapping[str, str]) -> Iterator[str]:
    yield f"| {head} | type | default |" + (" meaning |" if told else "")
    yield "|---|---|---|" + ("---|" if told else "")
    for name, field in model.model_fields.items():
        alias = field.validation_alias or field.serialization_alias or name
        shown = str(alias.choices[0] if isinstance(alias, AliasChoices) else alias)
        row = f"| `{shown}` | {_type(field)} | {_default(field)} |"
        yield row + (f" {told.get(name) or told.get(shown, '')} |" if told else "")
    yield ""


def _type(field: FieldInfo) -> str:
    bounds = [
        BOUNDS[name].format(f"{getattr(each, name):,}")
        for each in field.metadata
        for name in BOUNDS
        if getattr(each, name, None) is not None
    ]
    empty = ["not empty"] if any(getattr(each, "min_length", 0) for each in field.metadata) else []
    return ", ".join((_word(field.annotation), *bounds, *empty))


def _plain(value: object) -> object:
    """Return a model as the table that would be written."""
    assert isinstance(value, BaseModel), value
    return value.model_dump(mode="json", exclude_defaults=True)


def _word(annotation: object) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _word(parts[0])
    if origin is Literal:
        return " or ".join(f"`{part}`" if part else "empty" for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(_word(part) for part in parts if part is not type(None))
    if origin is Annotated:
        return _word(parts[0])
    if origin in (tuple, list):
        return f"list of {_word(parts[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_word(parts[1])}".replace(
            "table of table of any value", "table of tables"
        )
    return WORDS.get(annotation, "path" if "Path" in str(annotation) else "any value")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "its own"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{value:_}`" if value >= 10_000 else f"`{value}`"
    if isinstance(value, Mapping | tuple | list) and not value:
        return "empty"
    if isinstance(value, tuple | list):
        return f"`{json.dumps(value, default=_plain)}`"
    return f'`"{value}"`'
