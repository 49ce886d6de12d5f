"""Recipes: ordered steps in a file, done by scriptlets, commands, requests and people.

Another notation for plans: a recipe is compiled to a plan and done by the engine that does
every run, with the same journal, recovery and signals.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.front import opener

if TYPE_CHECKING:
    from oneiric.recipes.context import Context
    from oneiric.recipes.errors import RecipeError, RecipeFailedError, StepError
    from oneiric.recipes.log import get_logger
    from oneiric.recipes.running import run_recipe
    from oneiric.recipes.scriptlet import BaseScriptlet, track_resources

__all__ = [
    "BaseScriptlet",
    "Context",
    "RecipeError",
    "RecipeFailedError",
    "StepError",
    "get_logger",
    "run_recipe",
    "track_resources",
]

_HOMES: Mapping[str, str] = MappingProxyType(
    {
        "BaseScriptlet": "oneiric.recipes.scriptlet",
        "Context": "oneiric.recipes.context",
        "RecipeError": "oneiric.recipes.errors",
        "RecipeFailedError": "oneiric.recipes.errors",
        "StepError": "oneiric.recipes.errors",
        "get_logger": "oneiric.recipes.log",
        "run_recipe": "oneiric.recipes.running",
        "track_resources": "oneiric.recipes.scriptlet",
    }
)


__getattr__ = opener(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
