"""A file to a checked recipe, or everything that is wrong with it and on which line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from oneiric.documents import locate, parse
from oneiric.documents.limits import Kind
from oneiric.documents.model import unknown_keys, validate_settings
from oneiric.documents.places import line_of
from oneiric.errors import ConfigError, DocumentError, InvalidError, JSONValue, Problem
from oneiric.files import read_bounded
from oneiric.recipes.errors import RecipeError
from oneiric.recipes.recipe import FIELDS, RecipeSpec, StepSpec

MOST_BYTES = 1 << 20
_KINDS: Mapping[str, Kind] = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}
_ROOT = "recipe"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe as it was read: `digest` is that of its bytes, `folder` where it is run.

    `warnings` are what is odd but stops nothing: fields of version 1 that nobody knows.
    """

    path: Path
    spec: RecipeSpec
    digest: str
    folder: Path
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)
    warnings: tuple[Problem, ...] = ()

    @property
    def name(self) -> str:
        """What runs of it are called: the name of its file without the ending."""
        return self.path.stem

    def problem(self, key: str, what: str) -> Problem:
        """Return a problem at the dotted path *key*, with file and line."""
        return Problem(key, what, place(self.path, self.lines, key))


def place(path: Path, lines: Mapping[str, int], key: str) -> str:
    """Return `file:line` of a dotted path, as near as it is known."""
    return f"{path}:{line_of(lines, key) or 1}"


def read_recipe(path: Path, *, folder: Path | None = None) -> Recipe:
    """Read one recipe and check all of it that can be checked without running anything.

    Args:
        path: a YAML, JSON or TOML file of at most 1 MiB.
        folder: where its steps run and its relative paths start; the working directory.

    Raises:
        RecipeError: every problem, each with its line.
        DocumentError: it is not one strict document.
        NotFoundError, InvalidPathError, UnavailableError: the file cannot be read.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(_KINDS)
        raise InvalidError(f"{path} is no recipe: its name ends in none of {known}")
    data = read_bounded(path, limit=MOST_BYTES)
    value = parse(data, kind, source=str(path))
    lines = locate(data, kind)
    if not isinstance(value, Mapping):
        raise DocumentError("not-a-table", "a recipe is a table with steps", source=str(path))
    reading = _Reading(path, lines, value)
    spec = reading.spec()
    if reading.problems or spec is None:
        raise RecipeError(str(path), reading.problems)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    here = (folder or Path.cwd()).resolve()
    return Recipe(path, spec, digest, here, lines, tuple(reading.warnings))


class _Reading:
    """One pass over a document, which notes all that is wrong and goes on."""

    def __init__(self, path: Path, lines: Mapping[str, int], value: Mapping[str, JSONValue]):
        self.path = path
        self.lines = lines
        self.value = dict(value)
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def spec(self) -> RecipeSpec | None:
        """Return what is there; None where the notation is not kept."""
        if self.value.get("version", 1) == 1:
            self._let_go_of_unknown()
        try:
            found = validate_settings(RecipeSpec, self.value, key=_ROOT, origin_of=self._origin)
        except ConfigError as error:
            self.problems += [self._problem(each.key, each.what) for each in error.problems]
            return None
        for at, step in _steps(found):
            self.problems += self._misplaced(at, step)
        return found

    def _let_go_of_unknown(self) -> None:
        """Take out the fields that nobody knows, and warn of them."""
        for each in unknown_keys(RecipeSpec, self.value, key=_ROOT, origin_of=self._origin):
            self.warnings.append(self._problem(each.key, each.what))
            at: object = self.value
            *way, last = each.key.split(".")[1:]
            for key in way:
                at = at[int(key)] if isinstance(at, list) else cast("dict[str, object]", at)[key]
            cast("dict[str, object]", at).pop(last, None)

    def _misplaced(self, at: str, step: StepSpec) -> Iterator[Problem]:
        """Yield a problem for each field that belongs to steps of another type."""
        for name in sorted(step.model_fields_set - FIELDS[step.type]):
            shown = name.rstrip("_")
            what = f"a {step.type} step has no {shown}"
            yield self._problem(f"{_ROOT}.{at}.{shown}", what)

    def _origin(self, key: str) -> str:
        return place(self.path, self.lines, key.partition(".")[2])

    def _problem(self, key: str, what: str) -> Problem:
        named = key.partition(".")[2]
        return Problem(named or _ROOT, what, place(self.path, self.lines, named))


def _steps(spec: RecipeSpec) -> Iterator[tuple[str, StepSpec]]:
    """Yield every step with its dotted path."""
    for section, steps in (("steps", spec.steps), ("finally", spec.finally_)):
        for number, step in enumerate(steps):
            yield f"{section}.{number}", step
