"""Prod-first validation: a task is done when production has proved it, and not before.

Checks give proofs, a ledger keeps them, gates judge them; a task is a run like any other.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.front import opener

if TYPE_CHECKING:
    from oneiric.validation.checks.spec import LiveCheck
    from oneiric.validation.config import OrchestratorConfig
    from oneiric.validation.errors import TaskBusyError, TaskChangedError, TaskError
    from oneiric.validation.models import Task, ValidationCriteria
    from oneiric.validation.orchestrator import Orchestrator, create_orchestrator
    from oneiric.validation.proof import Proof
    from oneiric.validation.states import TaskOutcome, TaskStatus

__all__ = [
    "LiveCheck",
    "Orchestrator",
    "OrchestratorConfig",
    "Proof",
    "Task",
    "TaskBusyError",
    "TaskChangedError",
    "TaskError",
    "TaskOutcome",
    "TaskStatus",
    "ValidationCriteria",
    "create_orchestrator",
]

_HOMES: Mapping[str, str] = MappingProxyType(
    {
        "LiveCheck": "oneiric.validation.checks.spec",
        "Orchestrator": "oneiric.validation.orchestrator",
        "OrchestratorConfig": "oneiric.validation.config",
        "Proof": "oneiric.validation.proof",
        "Task": "oneiric.validation.models",
        "TaskBusyError": "oneiric.validation.errors",
        "TaskChangedError": "oneiric.validation.errors",
        "TaskError": "oneiric.validation.errors",
        "TaskOutcome": "oneiric.validation.states",
        "TaskStatus": "oneiric.validation.states",
        "ValidationCriteria": "oneiric.validation.models",
        "create_orchestrator": "oneiric.validation.orchestrator",
    }
)


__getattr__ = opener(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
