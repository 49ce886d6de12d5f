"""Explainable component resolution and lifecycle: choose, explain, hold, swap.

The names that users need first, each imported when it is asked for.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.front import opener

if TYPE_CHECKING:
    from oneiric.core.activity import ActivityState
    from oneiric.core.build import PhaseLimits
    from oneiric.core.candidate import Candidate, Source
    from oneiric.core.decision import Decision, DecisionDiff, Standing
    from oneiric.core.handle import Handle, Link
    from oneiric.core.health import HealthReport
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.core.plugin import Plugin
    from oneiric.core.policy import Policy, Verdict
    from oneiric.core.precedence import Selection, StackOrder
    from oneiric.core.ref import ComponentRef
    from oneiric.core.registry import Registry
    from oneiric.core.resolver import Assumption, Resolver
    from oneiric.core.status import ComponentStatus
    from oneiric.core.swap import SwapReport
    from oneiric.domains.bridge import DomainBridge
    from oneiric.domains.domain import Domain
    from oneiric.errors import JSONValue, NoCandidateError, OneiricError
    from oneiric.runs.engine import RunEngine
    from oneiric.runs.plan import OnError, Plan, Retry, Step
    from oneiric.runs.proof import Proof, ProofOutcome
    from oneiric.runs.run import Run
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

__all__ = [
    "ActivityState",
    "Assumption",
    "Candidate",
    "ComponentRef",
    "ComponentStatus",
    "Decision",
    "DecisionDiff",
    "Domain",
    "DomainBridge",
    "Handle",
    "HealthReport",
    "JSONValue",
    "LifecycleManager",
    "Link",
    "NoCandidateError",
    "OnError",
    "OneiricError",
    "PhaseLimits",
    "Plan",
    "Plugin",
    "Policy",
    "Proof",
    "ProofOutcome",
    "Registry",
    "Resolver",
    "Retry",
    "Run",
    "RunEngine",
    "RuntimeOrchestrator",
    "Selection",
    "Source",
    "StackOrder",
    "Standing",
    "Step",
    "SwapReport",
    "Verdict",
]

_HOMES: Mapping[str, str] = MappingProxyType(
    {
        "ActivityState": "oneiric.core.activity",
        "Assumption": "oneiric.core.resolver",
        "Candidate": "oneiric.core.candidate",
        "ComponentRef": "oneiric.core.ref",
        "ComponentStatus": "oneiric.core.status",
        "Decision": "oneiric.core.decision",
        "DecisionDiff": "oneiric.core.decision",
        "Domain": "oneiric.domains.domain",
        "DomainBridge": "oneiric.domains.bridge",
        "Handle": "oneiric.core.handle",
        "HealthReport": "oneiric.core.health",
        "JSONValue": "oneiric.errors",
        "LifecycleManager": "oneiric.core.lifecycle",
        "Link": "oneiric.core.handle",
        "NoCandidateError": "oneiric.errors",
        "OnError": "oneiric.runs.plan",
        "OneiricError": "oneiric.errors",
        "PhaseLimits": "oneiric.core.build",
        "Plan": "oneiric.runs.plan",
        "Plugin": "oneiric.core.plugin",
        "Policy": "oneiric.core.policy",
        "Proof": "oneiric.runs.proof",
        "ProofOutcome": "oneiric.runs.proof",
        "Registry": "oneiric.core.registry",
        "Resolver": "oneiric.core.resolver",
        "Retry": "oneiric.runs.plan",
        "Run": "oneiric.runs.run",
        "RunEngine": "oneiric.runs.engine",
        "RuntimeOrchestrator": "oneiric.runtime.orchestrator",
        "Selection": "oneiric.core.precedence",
        "Source": "oneiric.core.candidate",
        "StackOrder": "oneiric.core.precedence",
        "Standing": "oneiric.core.decision",
        "Step": "oneiric.runs.plan",
        "SwapReport": "oneiric.core.swap",
        "Verdict": "oneiric.core.policy",
    }
)


__getattr__ = opener(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
