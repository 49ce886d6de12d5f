"""Workflows: plans that candidates bring as data, and the way to run them."""

from oneiric.domains.workflows.bridge import WorkflowBridge, WorkflowRun
from oneiric.domains.workflows.spec import Workflow

__all__ = ["Workflow", "WorkflowBridge", "WorkflowRun"]
