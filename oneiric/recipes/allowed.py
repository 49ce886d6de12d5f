"""What a recipe may use: what this machine allows, and of that what the recipe itself does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from importlib_metadata import EntryPoint, entry_points

from oneiric.recipes.arranging import Misplaced
from oneiric.recipes.checks import steps_of
from oneiric.recipes.loading import scriptlet_problem
from oneiric.recipes.modules import is_hidden, is_local, origin_of
from oneiric.targets import is_allowed, is_target
from oneiric.text.names import is_name

if TYPE_CHECKING:
    from oneiric.recipes.reading import Recipe
    from oneiric.recipes.recipe import StepSpec
    from oneiric.recipes.settings import RecipeSettings

GROUP = "oneiric.scriptlets"
"""The group of entry points by which distributions name modules whose scriptlets may run."""


class PluginRules(Protocol):
    """The section `[plugins]`, as far as it says who may bring scriptlets."""

    auto_load: bool
    allow: tuple[str, ...]
    deny: tuple[str, ...]


class Allowed:
    """Know what recipes may use on this machine.

    A module is allowed by its name, before anything of it is imported: if a pattern of the
    configuration or of the command fits it, if an installed distribution names it or what it is
    in under `oneiric.scriptlets`, or if it is a file under the working directory.

    Args:
        settings: the section `[recipes]`.
        folder: the working directory.
        patterns: of modules, besides those of the settings.
        is_offered: tells whether somebody else than recipes offers a task, by its reference.
        plugins: which installed distributions may bring anything; all without it.
    """

    def __init__(
        self,
        settings: RecipeSettings,
        folder: Path,
        *,
        patterns: Sequence[str] = (),
        is_offered: Callable[[str], bool] = lambda _: False,
        plugins: PluginRules | None = None,
    ) -> None:
        self.settings = settings
        self.plugins = plugins
        self.folder = folder
        self.patterns = (*settings.allow_modules, *patterns)
        self.is_offered = is_offered
        self._known: dict[str, bool] = {}

    def misplaced(self, recipe: Recipe) -> Iterator[Misplaced]:
        """Yield what is wrong with scriptlets that are allowed: they are imported for that."""
        told: dict[str, str] = {}
        for at, step, target in _scriptlets(recipe):
            if self.is_offered(f"task:{step.module}.{step.function}"):
                continue
            if target not in told:
                told[target] = self._problem(recipe, step)
            if what := told[target]:
                yield Misplaced(f"{at}.{'function' if ' has no ' in what else 'module'}", what)

    def refused(self, recipe: Recipe) -> Iterator[Misplaced]:
        """Yield each step that asks for what is not allowed; nothing is imported."""
        for at, step, _ in _scriptlets(recipe):
            if why := self._refusal(recipe, step):
                yield Misplaced(f"{at}.module", why)
        for at, step in steps_of(recipe.spec):
            if step.type == "shell" and isinstance(step.run, str) and step.run:
                if not self.settings.allow_shell:
                    what = "text for a shell is not allowed here; write a list of arguments"
                    yield Misplaced(f"{at}.run", what)
                elif not recipe.spec.allow.shell:
                    what = "text for a shell needs allow.shell in the recipe"
                    yield Misplaced(f"{at}.run", what)
                elif not all(each.shell for each in recipe.above):
                    what = "text for a shell needs allow.shell in the recipe that runs this one too"
                    yield Misplaced(f"{at}.run", what)

    def _problem(self, recipe: Recipe, step: StepSpec) -> str:
        if self._refusal(recipe, step):
            return ""
        if not self._is_here(step):
            return f"there is no module {step.module}"
        target = f"{step.module}:{step.function}"
        return scriptlet_problem(target, self.settings.load_seconds)

    def _refusal(self, recipe: Recipe, step: StepSpec) -> str:
        """Return why the module of a step is not allowed, or an empty text."""
        module = step.module
        for narrow in (each.modules for each in recipe.allows):
            if narrow is not None and not _fits(module, narrow):
                if narrow is recipe.spec.allow.modules:
                    return f"{module} is not among the recipe's allow.modules"
                return f"{module} is not among the allow.modules of a recipe that runs this one"
        if self._is_here(step) or origin_of(module) is None:
            return ""
        hides = is_hidden(module, self.folder)
        more = f": it is {origin_of(module)}, which hides the one here" if hides else ""
        return f"the module {module} is not allowed here{more}"

    def _is_here(self, step: StepSpec) -> bool:
        """Tell whether this machine allows the module of a step."""
        module = step.module
        if module not in self._known:
            self._known[module] = (
                _fits(module, self.patterns)
                or (self.settings.allow_local and is_local(module, self.folder))
                or is_allowed(module, self._installed)
            )
        return self._known[module] or self.is_offered(f"task:{module}.{step.function}")

    @cached_property
    def _installed(self) -> frozenset[str]:
        """The modules that installed distributions name."""
        found = entry_points(group=GROUP)
        return frozenset(point.module for point in found if self._may_bring(point))

    def _may_bring(self, point: EntryPoint) -> bool:
        """Tell whether the distribution that names a module is one that plugins may come from."""
        if self.plugins is None:
            return True
        name = _normal(point.dist.name if point.dist else "")
        deny, allow = (set(map(_normal, each)) for each in (self.plugins.deny, self.plugins.allow))
        return self.plugins.auto_load and name not in deny and (not allow or name in allow)


def _scriptlets(recipe: Recipe) -> Iterator[tuple[str, StepSpec, str]]:
    """Yield each python step that says who does it, with its path and target."""
    for at, step in steps_of(recipe.spec):
        target = f"{step.module}:{step.function}"
        if step.type == "python" and is_target(target) and is_name(target.replace(":", ".")):
            yield at, step, target


def _normal(name: str) -> str:
    """Return the name of a distribution as all ways of writing it have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _fits(module: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in patterns)
