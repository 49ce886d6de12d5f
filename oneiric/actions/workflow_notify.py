"""`workflow.notify`: a message for people, made ready and logged."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, Field

from oneiric.actions.kit import Payload, Record, Result
from oneiric.core.logging import get_logger
from oneiric.text.redaction import redacted

Level: TypeAlias = Literal["debug", "info", "warning", "error"]


class NotifyPayload(Payload):
    """The message, where it belongs, and what goes with it."""

    message: str = Field(min_length=1)
    channel: str = "default"
    level: Level = "info"
    recipients: list[str] = Field(default_factory=list)
    context: Record = Field(default_factory=dict)


class NotifyResult(Result):
    """The message as it was logged, its secrets masked; it was sent to nobody."""

    status: Literal["logged"] = "logged"
    message: str
    channel: str
    level: Level
    recipients: list[str]
    context: Record


class WorkflowNotify:
    """Log `workflow-notify` at the level of the message; nothing is sent."""

    payload: ClassVar[type[BaseModel]] = NotifyPayload
    result: ClassVar[type[BaseModel]] = NotifyResult

    def __init__(self) -> None:
        self._log = get_logger("oneiric.actions.notify")

    def execute(self, payload: NotifyPayload) -> NotifyResult:
        """Log it."""
        told = NotifyResult.model_validate(redacted(payload.model_dump()))
        log = getattr(self._log, told.level)
        log(
            "workflow-notify",
            message=told.message,
            channel=told.channel,
            recipients=told.recipients,
            context=told.context,
        )
        return told
