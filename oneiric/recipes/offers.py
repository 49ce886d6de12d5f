"""Scriptlets as offers: whatever runs a step can be replaced, explained and paused."""

from __future__ import annotations

from functools import partial

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.recipes.plugin import NEEDS
from oneiric.recipes.python_step import PythonStep

RECIPES = Source(SourceKind.CODE, "recipes")
"""Where the offers of scriptlets come from that only a recipe names."""


def scriptlet_candidate(target: str, *, key: str = "", provider: str = "local") -> Candidate:
    """Return the offer of a scriptlet, `package.module:Class`, as a task.

    The key is what recipes make of it, `package.module.Class`, unless another is given.

    >>> scriptlet_candidate("acme.steps.compute:ComputeNumbers").ref
    'task:acme.steps.compute.ComputeNumbers'
    """
    return Candidate(
        f"task:{key or target.replace(':', '.')}",
        provider,
        partial(PythonStep, target),
        requires=NEEDS,
        blocking=True,
        source=RECIPES,
    )
