"""The names that docstrings may use without making them first."""

import importlib
from importlib.util import find_spec

from oneiric.core.candidate import Candidate


def docstring_names() -> dict[str, object]:
    """Return `Candidate` and a new `resolver` with two offers for `adapter:cache`.

    The offers are `memory` with priority 10 and `redis` with stack level 1.
    """
    names: dict[str, object] = {"Candidate": Candidate}
    if find_spec("oneiric.core.resolver"):
        resolver = importlib.import_module("oneiric.core.resolver").Resolver()
        resolver.register(Candidate("adapter:cache", "memory", dict, priority=10))
        resolver.register(Candidate("adapter:cache", "redis", dict, stack_level=1))
        names["resolver"] = resolver
    return names
