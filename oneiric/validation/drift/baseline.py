"""What production was like when somebody looked, kept to be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from oneiric.documents import DocumentLimits, canonical, digest, parse
from oneiric.documents.model import validate_settings
from oneiric.errors import InvalidError, NotFoundError
from oneiric.files import own_folder, read_bounded, write_atomic
from oneiric.ports.drift import DriftItem
from oneiric.text.names import is_name

DEFAULT = "default"
SCHEMA: Literal["oneiric.baseline/1"] = "oneiric.baseline/1"
_LIMITS = DocumentLimits(max_bytes=64 << 20, max_depth=100, max_nodes=4_000_000)


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_by_name=True
    )


class SeenRoute(_Model):
    """One route, and what it answered; 0 where asking might have done something."""

    method: str
    path: str
    status: int


class SeenOpenAPI(_Model):
    """The OpenAPI document that production served."""

    url: str
    digest: str
    document: JsonValue


class Accepted(_Model):
    """A difference that somebody accepted, by what it is known again."""

    kind: str
    code: str
    place: str
    at: str = ""
    digest: str = ""
    """Of what was found there; empty in older files, where whatever is found is accepted."""

    @classmethod
    def of(cls, item: DriftItem, at: str) -> Accepted:
        """Return *item* as accepted *at* a moment: this very difference, and no later one."""
        found = found_digest(item)
        return cls(kind=item.kind, code=item.code, place=item.place, at=at, digest=found)


class Baseline(_Model):
    """What production was like; secrets are masked before anything is kept."""

    schema_: Literal["oneiric.baseline/1"] = Field(default=SCHEMA, alias="schema")
    name: str
    at: str
    prod_url: str
    routes: list[SeenRoute] = Field(default_factory=list)
    openapi: SeenOpenAPI | None = None
    health: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    config: dict[str, JsonValue] = Field(default_factory=dict)
    accepted: list[Accepted] = Field(default_factory=list)

    def as_json(self) -> dict[str, JsonValue]:
        """Return every field by its name."""
        return self.model_dump(mode="json", by_alias=True)

    def accepts(self, item: DriftItem) -> bool:
        """Tell whether somebody accepted this very difference."""
        key, found = (item.kind, item.code, item.place), found_digest(item)
        return not self._accepted.get(key, frozenset()).isdisjoint({found, ""})

    @cached_property
    def _accepted(self) -> Mapping[tuple[str, str, str], set[str]]:
        known: dict[tuple[str, str, str], set[str]] = {}
        for each in self.accepted:
            known.setdefault((each.kind, each.code, each.place), set()).add(each.digest)
        return known


def found_digest(item: DriftItem) -> str:
    """Return a digest of what *item* says, by which the same difference is known again."""
    return digest({"message": item.message, "facts": dict(item.facts)})


class Baselines:
    """Keep baselines as files, each whole at every moment, and their owner's alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Return the names of all that are kept."""
        return sorted(each.stem for each in self._folder.glob("*.json") if is_name(each.stem))

    def read(self, name: str) -> Baseline:
        """Return one.

        Raises:
            NotFoundError: there is none of this name.
            DocumentError: the file is no JSON.
            ConfigError: it is no baseline; says what is wrong with it.
            UnavailableError: the system does not let it be read.
        """
        path = self._path(name)
        try:
            data = read_bounded(path, limit=_LIMITS.max_bytes)
        except NotFoundError:
            raise NotFoundError("baseline", name, known=self.names()) from None
        told = parse(data, "json", source=str(path), limits=_LIMITS)
        values = told if isinstance(told, dict) else {}
        return validate_settings(Baseline, values, key="baseline", origin_of=lambda _: str(path))

    def write(self, baseline: Baseline) -> Path:
        """Put one in the place of what had its name, and return where it is.

        Raises:
            OSError: the folder cannot be made.
            UnavailableError: the system does not let it be written.
        """
        path = self._path(baseline.name)
        own_folder(self._folder)
        write_atomic(path, canonical(baseline.as_json()) + b"\n", mode=0o600, durable=True)
        return path

    def _path(self, name: str) -> Path:
        if not is_name(name):
            raise InvalidError(f"{name!r} is no name of a baseline: it names a file")
        return self._folder / f"{name}.json"
