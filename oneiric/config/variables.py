"""Environment variables as settings: which key each one sets, and to what value."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import get_origin

from pydantic import BaseModel

from oneiric.documents import parse
from oneiric.documents.model import alternatives, annotation_at
from oneiric.errors import DocumentError, JSONValue, Problem

PREFIX = "ONEIRIC_"
SECRETS = "ONEIRIC_SECRET_"
_CONTAINERS = (Mapping, Sequence, AbstractSet, BaseModel)
_TEXTS = (str, bytes, bytearray)


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: the key that it sets, part by part, and its text."""

    name: str
    keys: tuple[str, ...]
    text: str


def variables_in(environ: Mapping[str, str], names: Mapping[str, str]) -> list[Variable]:
    """Return the variables that set keys, those of outer keys first.

    *names* gives single variables their dotted key; every other variable that
    counts is `ONEIRIC_SECTION__KEY`. Of two that set one key, the latter form wins.
    `ONEIRIC_SECRET_…` and single names in no table are left alone.
    """
    found = [_named(name, environ[name], names) for name in sorted(environ) if _counts(name, names)]
    return sorted(found, key=lambda each: (len(each.keys), each.name not in names))


def values_of(
    variables: Sequence[Variable], sections: Mapping[str, type[BaseModel]]
) -> Iterator[tuple[Variable, JSONValue] | Problem]:
    """Yield each variable with its value, or the problem that it has none.

    Lists and tables are JSON. Text stays text, for the section's model to read;
    where a key takes both, text that is a JSON list or table is read as one.
    """
    for variable in variables:
        if len(variable.keys) < 2 or not all(variable.keys):
            yield Problem(variable.name, "it names no section and key", variable.name)
            continue
        if any("\ud800" <= character <= "\udfff" for character in variable.name + variable.text):
            yield Problem(".".join(variable.keys), "its bytes are not UTF-8 text", variable.name)
            continue
        section, *keys = variable.keys
        model = sections.get(section)
        annotation = None if model is None else annotation_at(model, keys)
        try:
            yield variable, _value(variable.text, [] if annotation is None else _forms(annotation))
        except DocumentError as error:
            path = ".".join(variable.keys)
            yield Problem(path, f"it takes a JSON list or table, but {error}", variable.name)


def _counts(name: str, names: Mapping[str, str]) -> bool:
    if name in names:
        return True
    return name.startswith(PREFIX) and not name.startswith(SECRETS) and "__" in name


def _named(name: str, text: str, names: Mapping[str, str]) -> Variable:
    keys = (
        names[name].split(".") if name in names else name.removeprefix(PREFIX).lower().split("__")
    )
    return Variable(name, tuple(keys), text)


def _value(text: str, forms: list[str]) -> JSONValue:
    if forms and set(forms) == {"json"}:
        return parse(text.encode(), "json")
    if {"json", "open"} & set(forms) and text.lstrip()[:1] in ("[", "{"):
        try:
            return parse(text.encode(), "json")
        except DocumentError:
            return text
    return text


def _forms(annotation: object) -> list[str]:
    return [_form(option) for option in alternatives(annotation)]


def _form(option: object) -> str:
    kind = get_origin(option) or option
    if not isinstance(kind, type) or kind is object:
        return "open"
    if dataclasses.is_dataclass(kind):
        return "json"
    return "json" if issubclass(kind, _CONTAINERS) and not issubclass(kind, _TEXTS) else "text"
