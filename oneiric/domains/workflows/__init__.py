"""Workflows: plans that candidates bring as data, and the way to run them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.front import opener

if TYPE_CHECKING:
    from oneiric.domains.workflows.bridge import WorkflowBridge, WorkflowRun
    from oneiric.domains.workflows.spec import Workflow

__all__ = ["Workflow", "WorkflowBridge", "WorkflowRun"]

_HOMES: Mapping[str, str] = MappingProxyType(
    {
        "Workflow": "oneiric.domains.workflows.spec",
        "WorkflowBridge": "oneiric.domains.workflows.bridge",
        "WorkflowRun": "oneiric.domains.workflows.bridge",
    }
)


__getattr__ = opener(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
