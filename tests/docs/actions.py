"""The built-in actions as a reference page: payload, result and settings of each."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from oneiric.actions.plugin import PLUGIN
from oneiric.core.candidate import Candidate
from tests.architecture.source import House
from tests.docs.docstrings import markdown_of
from tests.docs.markdown import HEADER
from tests.docs.settings import model_table


def actions_page(_house: House) -> str:
    """Return the page of the built-in actions."""
    offers = sorted(PLUGIN.candidates, key=lambda offer: offer.ref)
    lines = [
        HEADER,
        "# Actions\n",
        "For whoever calls an action or writes its settings; how to go about it is told under",
        "[use actions](../how-to/use-actions.md). These come with the package, all with stack",
        "level 0. `oneiric action describe KEY` prints the JSON Schemas of payload and result.",
        "A payload with an unknown field, or text where a number belongs, is refused.\n",
        "| action | provider | priority | capabilities | requires |",
        "|---|---|---|---|---|",
    ]
    for offer in offers:
        needs = ", ".join(f"`{ref}`" for ref in offer.requires.values())
        words = ", ".join(f"`{word}`" for word in sorted(offer.capabilities))
        lines.append(
            f"| [`{offer.ref.key}`](#{_anchor(offer)}) | `{offer.provider}` | {offer.priority} "
            f"| {words} | {needs} |"
        )
    lines += [
        "\nSettings stand under `[actions.provider_settings.PROVIDER]`; unknown keys are errors.\n"
    ]
    for offer in offers:
        lines += _action(offer)
    return "\n".join(lines)


def _anchor(offer: Candidate) -> str:
    return offer.ref.key.replace(".", "")


def _action(offer: Candidate) -> Iterator[str]:
    kind = _target(offer.factory)
    yield f"## {offer.ref.key}\n"
    yield markdown_of(inspect.getdoc(kind) or "")
    yield from _model("Payload", "field", kind.payload)
    yield from _model("Result", "field", kind.result)
    if offer.settings_model is not None:
        yield from _model("Settings", "setting", _target(offer.settings_model))


def _model(title: str, head: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"**{title}.** {inspect.getdoc(model)}\n"
    yield from model_table(model, head)
    for inner in _inner(model):
        yield f"Each **{inner.__name__}**: {inspect.getdoc(inner)}\n"
        yield from model_table(inner, head)


def _inner(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Give the models that the fields of *model* hold, at any depth."""
    for field in model.model_fields.values():
        for kind in _kinds(field.annotation):
            yield kind
            yield from _inner(kind)


def _kinds(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def _target(text: object) -> Any:
    assert isinstance(text, str)
    module, _, attribute = text.partition(":")
    return getattr(importlib.import_module(module), attribute)
