"""Which files a recipe is made of, and when any of them holds something else than before."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.config.watch import ConfigWatch
from oneiric.errors import InvalidError, OneiricError
from oneiric.recipes.caching import digest_of
from oneiric.recipes.running import RecipeRunner
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.recipes.compiling import Compiled
    from oneiric.recipes.desk import Hosts
    from oneiric.recipes.options import RunOptions
    from oneiric.recipes.recipe import StepSpec

_MARK = "${{"
_NOT_OURS = frozenset(("site-packages", "dist-packages"))


def files_of(compiled: Compiled, given: Mapping[str, object]) -> Iterator[Path]:
    """Yield the files that a recipe reads as they are when it is begun; what it writes is none.

    Those are it and the recipes within it, the modules of its scriptlets and those that they
    import from the folder of the run, and what it names: files of inputs, scripts, schemas, and
    the files that kept results depend on. *given* are the values of its inputs.
    """
    recipe = compiled.recipe
    yield recipe.path
    for child in compiled.children.values():
        yield from files_of(child, {})
    yield from _modules(recipe.folder, compiled.scriptlets.values())
    for name, each in recipe.spec.inputs.items():
        if each.type == "path" and (value := given.get(name, each.default)):
            yield recipe.folder / str(value)
    for placed in compiled.placed.values():
        yield from (recipe.folder / name for name in _named(placed.spec) if _MARK not in name)


def _named(step: StepSpec) -> Iterator[str]:
    if step.script:
        yield step.script
    yield from step.success.json_schema.values()
    yield from step.cache.inputs if step.cache else ()


def _modules(folder: Path, scriptlets: Iterable[str]) -> Iterator[Path]:
    named = {each.partition(":")[0] for each in scriptlets}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None:
            continue
        path = Path(file)
        if name in named or (path.is_relative_to(folder) and _NOT_OURS.isdisjoint(path.parts)):
            yield path


def watched(hosts: Hosts, path: Path, given: Mapping[str, JSONValue], options: RunOptions) -> Watch:
    """Return who waits until what a recipe is made of changes; if it is wrong, until it does.

    Raises:
        InvalidError: the options go on with one run, which there is but once.
    """
    if options.resume:
        raise InvalidError("--watch begins new runs, and --resume goes on with one")
    try:
        compiled = RecipeRunner(hosts(checkpoints=False)).compile(path, options)
    except OneiricError:  # which the run tells
        return Watch([path])
    return Watch(files_of(compiled, given))


class Watch:
    """Wait until files hold something else than when this was made."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = sorted({path.absolute() for path in paths})
        self._seen = self._held()

    def wait(self) -> None:
        """Return when any of them does, at once if it does already."""

        async def changed() -> None:
            async with aclosing(ConfigWatch(self.paths).changes()) as changes:
                async for _ in changes:
                    if self._held() != self._seen:
                        return

        run_to_end(changed())

    def _held(self) -> list[str]:
        return [_held(path) for path in self.paths]


def _held(path: Path) -> str:
    try:
        return digest_of(path)
    except OSError as error:
        return type(error).__name__
