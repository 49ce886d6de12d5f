"""A file to a checked recipe, or everything that is wrong with it and on which line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from oneiric.documents import locate, parse
from oneiric.documents.limits import Kind
from oneiric.documents.model import unknown_keys, validate_settings
from oneiric.documents.places import line_of
from oneiric.errors import ConfigError, DocumentError, InvalidError, JSONValue, Problem
from oneiric.files import read_bounded
from oneiric.recipes.arranging import Misplaced
from oneiric.recipes.errors import RecipeError, RecipeRefusedError
from oneiric.recipes.recipe import AllowSpec, RecipeSpec

MOST_BYTES = 1 << 20
KINDS: Mapping[str, Kind] = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}
_ROOT = "recipe"
_APART = re.compile(
    r"(?:steps|finally)\.\d+\.(?!name|depends_on|needs|type|matrix)\w+(?:\..*)?"
    r"|(?:reports|concurrency|test_meta|timeout)(?:\..*)?",
    re.DOTALL,
)
"""Values of which what is wrong with them says nothing of others."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe as it was read: `digest` is that of its bytes, `folder` where it is run.

    `warnings` are what is odd but stops nothing: fields of version 1 that nobody knows.
    `problems` are values that were left out because they are wrong; with any, it is not run.
    `above` is what the recipes allow that run this one, the outermost first.
    """

    path: Path
    spec: RecipeSpec
    digest: str
    folder: Path
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    above: tuple[AllowSpec, ...] = ()

    @property
    def allows(self) -> tuple[AllowSpec, ...]:
        """What this recipe allows and those above it do: all of them must."""
        return (*self.above, self.spec.allow)

    @property
    def name(self) -> str:
        """What runs of it are called: the name of its file without the ending."""
        return self.path.stem

    def problem(self, key: str, what: str) -> Problem:
        """Return a problem at the dotted path *key*, with file and line."""
        return Problem(key, what, place(self.path, self.lines, key))

    def settle(self, wrong: Iterable[Misplaced], refused: Iterable[Misplaced] = ()) -> None:
        """Pass if nothing is wrong and nothing refused.

        What else seems to be wrong with a step of which a value was left out is not told.

        Raises:
            RecipeError: everything that is wrong and refused, in the order of the lines.
            RecipeRefusedError: something is refused, and nothing wrong.
        """
        doubtful = {".".join(each.key.split(".")[:2]) for each in self.problems}
        found = {
            (each.at, each.what): self.problem(each.at, each.what)
            for each in wrong
            if ".".join(each.at.split(".")[:2]) not in doubtful
            or each.at.endswith(("depends_on", "outputs"))
            or each.at.count(".") == 1
        }
        barred = [self.problem(each.at, each.what) for each in refused]
        problems = [*self.problems, *found.values()]
        if problems:
            raise RecipeError(str(self.path), sorted([*problems, *barred], key=_line))
        if barred:
            raise RecipeRefusedError(str(self.path), sorted(barred, key=_line))


def _line(problem: Problem) -> int:
    return int(problem.origin.rpartition(":")[2])


def place(path: Path, lines: Mapping[str, int], key: str) -> str:
    """Return `file:line` of a dotted path, as near as it is known."""
    return f"{path}:{line_of(lines, key) or 1}"


def read_recipe(path: Path, *, folder: Path | None = None) -> Recipe:
    """Read one recipe; what is wrong with its order and its expressions shows when it is compiled.

    Args:
        path: a YAML, JSON or TOML file of at most 1 MiB.
        folder: where its steps run and its relative paths start; the working directory.

    Raises:
        RecipeError: its notation is wrong: every problem, each with its line.
        DocumentError: it is not one strict document.
        NotFoundError, InvalidPathError, UnavailableError: the file cannot be read.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(KINDS)
        raise InvalidError(f"{path} is no recipe: its name ends in none of {known}")
    data = read_bounded(path, limit=MOST_BYTES)
    value = parse(data, kind, source=str(path))
    lines = _Lines(data, kind)
    if not isinstance(value, Mapping):
        raise DocumentError("not-a-table", "a recipe is a table with steps", source=str(path))
    reading = _Reading(path, lines, value)
    spec = reading.spec() or reading.mended()
    if spec is None:
        raise RecipeError(str(path), sorted(reading.problems, key=_line))
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    here = (folder or Path.cwd()).resolve()
    found = tuple(reading.warnings), tuple(reading.problems)
    return Recipe(path, spec, digest, here, lines, *found)


class _Lines(Mapping[str, int]):
    """The line of each key of a text, which is looked through when the first is asked for."""

    def __init__(self, data: bytes, kind: Kind) -> None:
        self._data = data
        self._kind = kind

    @cached_property
    def _found(self) -> Mapping[str, int]:
        return locate(self._data, self._kind)

    def __getitem__(self, key: str) -> int:
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


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
        return found

    def mended(self) -> RecipeSpec | None:
        """Return what is there without the wrong values, if these are apart from all others.

        What is wrong besides them can be told at once then.
        """
        for each in self.problems:
            is_apart = each.what.startswith("unknown key") or _APART.fullmatch(each.key)
            if not is_apart or not _without(self.value, each.key):
                return None
        try:
            return validate_settings(RecipeSpec, self.value, key=_ROOT, origin_of=self._origin)
        except ConfigError:
            return None

    def _let_go_of_unknown(self) -> None:
        """Take out the fields that nobody knows, and warn of them."""
        for each in unknown_keys(RecipeSpec, self.value, key=_ROOT, origin_of=self._origin):
            self.warnings.append(self._problem(each.key, each.what))
            _without(self.value, each.key.partition(".")[2])

    def _origin(self, key: str) -> str:
        return place(self.path, self.lines, key.partition(".")[2])

    def _problem(self, key: str, what: str) -> Problem:
        named = key.partition(".")[2]
        return Problem(named or _ROOT, what, place(self.path, self.lines, named))


def _without(value: object, path: str) -> bool:
    """Take what stands at a dotted path out of *value*; an item of a list takes its list along.

    Keys may hold dots themselves.
    """
    if isinstance(value, dict):
        if path in value:
            del value[path]
            return True
        for key in [key for key in value if path.startswith(f"{key}.")]:
            rest = path[len(key) + 1 :]
            if isinstance(value[key], list) and rest.isdecimal():
                del value[key]
                return True
            if _without(value[key], rest):
                return True
    if isinstance(value, list):
        number, _, rest = path.partition(".")
        is_there = number.isdecimal() and int(number) < len(value)
        return is_there and _without(value[int(number)], rest)
    return False
