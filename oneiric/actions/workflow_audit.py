"""`workflow.audit`: write an event down, without its secrets."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from oneiric.actions.kit import Payload, Record, Result
from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.core.logging import get_logger
from oneiric.text.redaction import redacted


class AuditPayload(Payload):
    """What happened; `redact_fields` adds to the names that are always masked."""

    event: str = Field(min_length=1)
    details: Record = Field(default_factory=dict)
    channel: str = "audit"
    redact_fields: list[str] = Field(default_factory=list)
    include_timestamp: bool = True


class AuditResult(Result):
    """What was written, as it was written."""

    status: Literal["recorded"] = "recorded"
    event: str
    channel: str
    details: Record
    timestamp: str | None


class WorkflowAudit:
    """Log `workflow-audit`, at level info, with its details, secrets masked at any depth.

    It goes wherever `[logging]` sends it; the result is what was logged.

    A field is masked when its name is a secret's, or holds one of `redact_fields` in any
    spelling: `token` masks `authToken` and `AUTH-TOKEN`.
    """

    payload: ClassVar[type[BaseModel]] = AuditPayload
    result: ClassVar[type[BaseModel]] = AuditResult

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._log = get_logger("oneiric.actions.audit")

    def execute(self, payload: AuditPayload) -> AuditResult:
        """Record it."""
        told = AuditResult(
            event=str(redacted(payload.event)),
            channel=payload.channel,
            details=redacted(payload.details, names=payload.redact_fields),  # type: ignore[arg-type]
            timestamp=rfc3339(self._clock.now()) if payload.include_timestamp else None,
        )
        self._log.info(
            "workflow-audit", what=told.event, channel=told.channel, details=told.details
        )
        return told
