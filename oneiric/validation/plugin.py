"""What the room offers: who checks, who decides, who keeps proofs, and who does the steps."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin

EMBEDDED = 50
"""The priority of what needs no server and no account."""

SESSIONS = "adapter:validation"
LEDGER = "adapter:ledger"
VALIDATOR = "adapter:validator"
DRIFT = "adapter:drift"
GATEKEEPER = "adapter:gatekeeper"
EXECUTOR = "adapter:executor"
KNOWLEDGE = "adapter:knowledge"
SECRETS = "adapter:secrets"

NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "sessions": SESSIONS,
        "ledger": LEDGER,
        "validator": VALIDATOR,
        "drift": DRIFT,
        "gatekeeper": GATEKEEPER,
        "executor": EXECUTOR,
        "knowledge": KNOWLEDGE,
        "secrets": SECRETS,
    }
)
"""What steps are made of, by the name under which they receive it."""


def _step(kind: str, target: str, *needs: str) -> Candidate:
    return Candidate(
        f"task:validation.{kind}",
        "built-in",
        f"oneiric.validation.steps.{target}",
        requires={name: NEEDS[name] for name in needs},
    )


def _offer(
    ref: str, provider: str, target: str, *capabilities: str, needs: tuple[str, ...] = ()
) -> Candidate:
    return Candidate(
        ref,
        provider,
        f"oneiric.validation.{target}",
        requires={name: NEEDS[name] for name in needs},
        settings_model=f"oneiric.validation.{target}Settings",
        capabilities=capabilities,
        priority=EMBEDDED,
    )


ADAPTERS = Plugin(
    [
        Candidate(SESSIONS, "in-process-runs", "oneiric.validation.sessions:Sessions"),
        _offer(LEDGER, "signed-files", "ledger:Ledger", "signed"),
        _offer(
            VALIDATOR,
            "live",
            "providers.validator:LiveValidator",
            *("live", "ui", "spec"),
            needs=("executor",),
        ),
        _offer(
            DRIFT,
            "compare",
            "providers.drift:ComparingDetector",
            *("routes", "openapi", "database", "health", "version", "config", "baseline"),
            needs=("executor",),
        ),
        _offer(GATEKEEPER, "strict", "providers.gatekeeper:StrictGatekeeper", "gates"),
    ]
)

TASKS = Plugin(
    [
        _step("command", "command_step:CommandStep", "sessions", "ledger", "executor", "secrets"),
        _step("check", "check_step:CheckStep", "sessions", "ledger", "validator", "secrets"),
        _step("drift", "drift_step:DriftStep", "ledger", "drift", "secrets"),
        _step(
            "gate",
            "gate_step:GateStep",
            *("sessions", "ledger", "gatekeeper", "drift", "secrets"),
        ),
        _step("deploy", "deploy_step:DeployStep", "sessions", "executor", "secrets"),
        _step("note", "note_step:NoteStep", "knowledge"),
        _step("seal", "seal_step:SealStep", "ledger"),
    ]
)
