"""`debug.console`: a message in the log, without its secrets."""

from __future__ import annotations

import json
from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, Field

from oneiric.actions.kit import Payload, Record, Result
from oneiric.core.logging import get_logger
from oneiric.text.redaction import redacted

DebugLevel: TypeAlias = Literal["debug", "info", "warning", "error"]


class ConsolePayload(Payload):
    """The message; `scrub_fields` adds to the names that are always masked."""

    message: str
    level: DebugLevel = "info"
    details: Record = Field(default_factory=dict)
    prefix: str = "debug"
    echo: bool = True
    scrub_fields: list[str] = Field(default_factory=list)


class ConsoleResult(Result):
    """What was logged; with `echo` also as one `line`, for the caller to show."""

    status: Literal["emitted"] = "emitted"
    level: DebugLevel
    message: str
    prefix: str
    details: Record
    line: str | None


class DebugConsole:
    """Log `debug-console` at the asked level; secret fields are masked at any depth."""

    payload: ClassVar[type[BaseModel]] = ConsolePayload
    result: ClassVar[type[BaseModel]] = ConsoleResult

    def __init__(self) -> None:
        self._log = get_logger("oneiric.actions.console")

    def execute(self, payload: ConsolePayload) -> ConsoleResult:
        """Emit it."""
        message = str(redacted(payload.message))
        prefix = str(redacted(payload.prefix))
        details = redacted(payload.details, names=payload.scrub_fields)
        log = getattr(self._log, payload.level)
        log("debug-console", message=message, prefix=prefix, details=details)
        tail = f" {json.dumps(details, ensure_ascii=False)}" if details else ""
        return ConsoleResult(
            level=payload.level,
            message=message,
            prefix=prefix,
            details=details,  # type: ignore[arg-type]
            line=f"[{prefix}] {message}{tail}" if payload.echo else None,
        )
