"""Where the files of a recipe may lie: inside its folder, and where the recipe narrows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from oneiric.errors import InvalidPathError
from oneiric.expressions.rewrite import OPENING
from oneiric.files import confined
from oneiric.recipes.arranging import Misplaced
from oneiric.recipes.recipe import AllowSpec, RecipeSpec, StepSpec


def inside(folder: Path, relative: str, allowed: Sequence[str] | None = None) -> Path:
    """Return the real path of *relative* below *folder*, whether it exists or not.

    Links are followed as far as the path exists.

    Args:
        folder: where the recipe is run.
        relative: what the recipe says; `.` is the folder.
        allowed: paths of the recipe's `allow.paths`, one of which it must lie in, or be.

    Raises:
        InvalidPathError: absolute, empty, with `..`, or leading out of where it may lie.
    """
    found = _within(folder, relative)
    if allowed is None or any(found.is_relative_to(_within(folder, each)) for each in allowed):
        return found
    raise InvalidPathError(relative, f"it is in none of {', '.join(allowed) or 'no path'}")


def _within(folder: Path, relative: str) -> Path:
    is_folder = bool(relative) and not PurePosixPath(relative).parts
    return folder.resolve() if is_folder else confined(folder, relative)


def paths_of(
    folder: Path,
    spec: RecipeSpec,
    steps: Mapping[str, StepSpec],
    above: Sequence[AllowSpec] = (),
) -> Iterator[Misplaced]:
    """Yield each path that is absolute or leads out, as far as the recipe says it without a run.

    What an expression says is checked when it is told. *above* is what the recipes allow that run
    this one; what is wrong with their paths is told with them.
    """
    wide = _numbered(spec.allow.paths or ())
    own = {f"reports.{number}.path": each.path for number, each in enumerate(spec.reports)}
    touched = dict[str, str]()
    for at, step in steps.items():
        own |= {f"{at}.recipe": step.recipe, f"{at}.script": step.script}
        schemas = step.success.json_schema.items()
        own |= {f"{at}.success.json_schema.{key}": path for key, path in schemas}
        touched |= {f"{at}.{name}": getattr(step, name) for name in ("cwd", "stdout_to")}
        for number, path in enumerate(step.success.files_exist):
            touched[f"{at}.success.files_exist.{number}"] = path
        for number, path in enumerate(step.cache.inputs if step.cache else ()):
            touched[f"{at}.cache.inputs.{number}"] = path
    wrong = list(_checked(folder, wide, None))
    yield from (*wrong, *_checked(folder, own, None))
    narrow = [each.paths for each in above if each.paths is not None]
    usable = [each for each in narrow if not list(_checked(folder, _numbered(each), None))]
    if spec.allow.paths is not None and not wrong:
        usable.append(spec.allow.paths)
    for allowed in (None, *usable):
        yield from (found := list(_checked(folder, touched, allowed)))
        if found:
            return


def _numbered(paths: Sequence[str]) -> dict[str, str]:
    return {f"allow.paths.{number}": path for number, path in enumerate(paths)}


def _checked(
    folder: Path, paths: Mapping[str, str], allowed: Sequence[str] | None
) -> Iterator[Misplaced]:
    for at, path in paths.items():
        if path and OPENING not in path:
            try:
                inside(folder, path, allowed)
            except InvalidPathError as error:
                yield Misplaced(at, error.message)
