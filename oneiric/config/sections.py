"""The finished configuration: checked sections, and every value with its origin."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from oneiric.config.layers import Layers
from oneiric.errors import JSONValue, NotFoundError

REDACTED = "**********"
_OPEN = "provider_settings"
_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective value: its dotted path, the value as JSON, and who set it."""

    path: str
    value: JSONValue
    origin: str


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked, with their origins.

    `file` is what was read, or None; `folder` is where it was looked for, and where the
    runtime keeps `.oneiric_cache`. A relative path in settings is kept as it was written, and
    so starts from the working directory of the process. `named` is the file that was asked for,
    by an option or a variable; None where one was looked for. `process` are the variables by
    which whoever starts a process talks to it, such as systemd; they set no key.
    """

    file: Path | None
    profile: str
    folder: Path
    _sections: Mapping[str, BaseModel] = field(repr=False)
    _layers: Layers = field(repr=False)
    _filed: Mapping[str, JSONValue] = field(repr=False)
    named: Path | None = None
    process: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all sections."""
        return tuple(self._sections)

    def section(self, name: str) -> BaseModel:
        """Return the settings of one section, an instance of the model handed in for it.

        Raises:
            NotFoundError: no model was handed in under *name*.
        """
        if name not in self._sections:
            raise NotFoundError("section", name, known=self._sections)
        return self._sections[name]

    def origin(self, path: str) -> str:
        """Return who set the value at a dotted path.

        It is `oneiric.toml:12`, `profile serverless`, `profile staging at
        oneiric.toml:20`, the name of a variable, or `default`.
        """
        return self._layers.origin(path)

    def place(self, path: str) -> str:
        """Return where *path* was written, or else the nearest table around it."""
        return self._layers.place(path)

    def is_written(self, path: str) -> bool:
        """Tell whether somebody wrote just this value or table."""
        return self._layers.is_written(path)

    def filed(self, *keys: str) -> JSONValue:
        """Return what the file and its profile say below *keys*, variables and defaults aside.

        None where they say nothing.
        """
        value: JSONValue = self._filed
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def settings(
        self,
        *,
        secret: Callable[[str], bool] | None = None,
        instead: Mapping[str, object] = _NOTHING,
        origin: Callable[[str], str] | None = None,
    ) -> list[Setting]:
        """Return every effective value, defaults included, without secrets.

        A value whose type says that it is secret is always redacted, and so is
        each one whose path *secret* names. Providers' settings have no types
        here, so all of them are redacted unless *secret* clears their path.

        Args:
            secret: tells whether the value at a path is secret.
            instead: path to what is shown there in place of the plain value, such as
                the checked settings of providers.
            origin: tells who set the value at a path; `self.origin` when left out.
        """
        hidden = secret or _below_open
        origin_of = origin or self.origin
        settings = []
        for name, section in self._sections.items():
            for path, value in _leaves(name, section, instead):
                empty = value in (None, {}, [], ())
                shown: JSONValue = REDACTED if hidden(path) and not empty else _plain(value)
                settings.append(Setting(path, shown, origin_of(path)))
        return settings


def _below_open(path: str) -> bool:
    return path.split(".", 3)[1:2] == [_OPEN] and path.count(".") > 1


def _leaves(
    path: str, value: object, instead: Mapping[str, object]
) -> Iterator[tuple[str, object]]:
    shown = instead.get(path, value)
    entries = _entries(shown)
    if not entries:
        yield path, shown
    for key, entry in (entries or {}).items():
        yield from _leaves(f"{path}.{key}", entry, instead)


def _entries(value: object) -> Mapping[Any, object] | None:
    if isinstance(value, BaseModel):
        extra = value.model_extra or {}
        return {**{name: getattr(value, name) for name in type(value).model_fields}, **extra}
    return value if isinstance(value, Mapping) else None


def _plain(value: object) -> JSONValue:
    if isinstance(value, SecretStr | SecretBytes):
        return REDACTED
    if isinstance(value, BaseModel | Mapping):
        return {str(key): _plain(entry) for key, entry in (_entries(value) or {}).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    plain: JSONValue = to_jsonable_python(value, fallback=str)
    return plain
