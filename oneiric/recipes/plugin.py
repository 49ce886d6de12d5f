"""What the room offers: who does steps that need no module, and who knows the runs."""

from collections.abc import Mapping
from types import MappingProxyType

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin

SESSIONS = "adapter:recipes"
NEEDS: Mapping[str, str] = MappingProxyType({"sessions": SESSIONS})

ADAPTERS = Plugin([Candidate(SESSIONS, "in-process-runs", "oneiric.recipes.sessions:Sessions")])

KEPT, TURN = "task:recipe.kept", "task:recipe.turn"
"""Who gives what an earlier run gave, and who waits for other runs of a group."""

TASKS = Plugin(
    [
        Candidate("task:recipe.join", "built-in", "oneiric.recipes.join_step:JoinStep"),
        Candidate(KEPT, "built-in", "oneiric.recipes.kept_step:KeptStep"),
        Candidate(TURN, "built-in", "oneiric.recipes.turn_step:TurnStep", requires=NEEDS),
    ]
)
