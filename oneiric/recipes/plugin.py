"""What the room offers: who does steps that need no module, and who knows the runs."""

from collections.abc import Mapping
from types import MappingProxyType

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin

SESSIONS = "adapter:recipes"
EXECUTOR = "adapter:executor"
NEEDS: Mapping[str, str] = MappingProxyType({"sessions": SESSIONS, "executor": EXECUTOR})
"""What a scriptlet's step is made of."""


def _step(kind: str, target: str, **requires: str) -> Candidate:
    return Candidate(
        f"task:recipe.{kind}",
        "built-in",
        f"oneiric.recipes.{target}",
        requires={"sessions": SESSIONS, **requires},
    )


ADAPTERS = Plugin([Candidate(SESSIONS, "in-process-runs", "oneiric.recipes.sessions:Sessions")])

KEPT, TURN = "task:recipe.kept", "task:recipe.turn"
"""Who gives what an earlier run gave, and who waits for other runs of a group."""

TASKS = Plugin(
    [
        Candidate("task:recipe.join", "built-in", "oneiric.recipes.join_step:JoinStep"),
        _step("kept", "kept_step:KeptStep"),
        _step("turn", "turn_step:TurnStep"),
        _step("shell", "shell_step:ShellStep", executor=EXECUTOR),
        _step("http", "http_step:HttpStep", http="adapter:http"),
        _step("recipe", "nested_step:NestedStep"),
        _step("approve", "approve_step:ApproveStep"),
    ]
)
