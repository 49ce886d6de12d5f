"""Compose the house and run it: the one place where rooms meet."""

from oneiric.runtime.operator import Operator
from oneiric.runtime.orchestrator import RuntimeOrchestrator

__all__ = ["Operator", "RuntimeOrchestrator"]
