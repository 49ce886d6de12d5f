"""The JSON Schema of recipes, for editors: what may stand in a file, as far as forms can say."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from oneiric.recipes.recipe import RecipeSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:oneiric:schema:recipe:1"
_DURATION = r"^\s*\d{1,9}(\.\d{1,6})?(ms|s|m|h|d)\s*$"
_SECONDS = frozenset(("timeout", "delay_sec", "max_delay_sec", "ttl"))


def recipe_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12, made from the models by which recipes are read.

    Both names of a field that has two are in it, and durations are numbers or texts. Unknown
    fields are wrong in version 2 only.
    """
    schema = RecipeSpec.model_json_schema(ref_template="#/$defs/{model}")
    models = {model.__name__: model for model in _models(RecipeSpec)}
    defs = {
        name: _told(each, models[name]) if name in models else each
        for name, each in schema.pop("$defs").items()
    }
    head = _told(schema, RecipeSpec)
    known = {"propertyNames": {"enum": sorted(defs["StepSpec"]["properties"])}}
    is_strict = {"properties": {"version": {"const": 2}}, "required": ["version"]}
    return {
        "$schema": DIALECT,
        "$id": ID,
        "title": "A recipe of Oneiric",
        **head,
        "if": is_strict,
        "then": {
            "propertyNames": {"enum": sorted(head["properties"])},
            "properties": {name: {"items": known} for name in ("steps", "finally")},
        },
        "$defs": dict(sorted(defs.items())),
    }


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model, and those in its module that its fields may hold."""
    for each in vars(inspect.getmodule(model)).values():
        if isinstance(each, type) and issubclass(each, BaseModel) and each is not BaseModel:
            yield each


def _told(schema: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a model by the names under which its fields are written."""
    properties: dict[str, Any] = {}
    for field, info in model.model_fields.items():
        names = _names(field, info)
        given = schema["properties"]
        found = next(given[name] for name in (*names, field) if name in given)
        form = {key: word for key, word in found.items() if key != "title"}
        if field in _SECONDS:
            form = _lasting(form)
        properties |= dict.fromkeys(names, form)
    told = {key: word for key, word in schema.items() if key not in ("title", "properties")}
    told.pop("additionalProperties", None)
    extra = {"additionalProperties": True} if model.model_config.get("extra") == "allow" else {}
    return {**told, "description": inspect.getdoc(model), "properties": properties, **extra}


def _names(field: str, info: FieldInfo) -> list[str]:
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(each) for each in alias.choices]
    return [field]


def _lasting(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form of a duration: a number of seconds, or a text such as `30s`."""
    numbers = [each for each in form.get("anyOf", [form]) if each.get("type") == "number"]
    number = {key: word for key, word in numbers[0].items() if key != "default"}
    rest = {"default": form["default"]} if "default" in form else {}
    return {"anyOf": [number, {"type": "string", "pattern": _DURATION}], **rest}
