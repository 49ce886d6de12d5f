"""Messages for people, in the log."""

import logging
from typing import ClassVar, get_args

from pydantic import Field

from oneiric.adapters.settings import AdapterSettings
from oneiric.core.health import HealthReport
from oneiric.core.logging import get_logger
from oneiric.ports.errors import UnavailableError
from oneiric.ports.messaging import MessageLevel, NotificationMessage, SendResult
from oneiric.text.redaction import redacted

LEVELS: tuple[MessageLevel, ...] = get_args(MessageLevel)


class LogMessengerSettings(AdapterSettings):
    """Name the logger that the messages come from, and the least serious level it logs at."""

    logger: str = Field(default="oneiric.notifications", min_length=1)
    least_level: MessageLevel = "warning"


class LogMessenger:
    """Log each message as `notification`, secrets masked; nobody is called.

    It needs no account and no network, so it serves until another is selected. A message less
    serious than `least_level` is logged at that, for a log says little by default; where the log
    is told to leave even that out, the message is not taken. `severity` is the message's own.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"notifications"})

    def __init__(self, settings: LogMessengerSettings | None = None) -> None:
        self._settings = settings or LogMessengerSettings()
        self._log = get_logger(self._settings.logger)

    async def init(self) -> None:
        """Do nothing: there is nothing to open."""

    async def health(self) -> HealthReport:
        """Be healthy always."""
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Do nothing: nothing is open."""

    async def send_notification(self, message: NotificationMessage) -> SendResult:
        """Log it.

        Raises:
            UnavailableError: the log leaves out what is of this level.
        """
        level = max(message.level, self._settings.least_level, key=LEVELS.index)
        if not self._log.isEnabledFor(logging.getLevelNamesMapping()[level.upper()]):
            raise UnavailableError("log", f"it leaves out what is logged at {level}")
        told = {
            "message_id": message.id,
            "severity": message.level,
            "target": message.target,
            "title": message.title,
            "text": message.text,
            "context": dict(message.context),
        }
        kept = {name: redacted(value) for name, value in told.items() if value}
        getattr(self._log, level)("notification", **kept)
        return SendResult(message_id=message.id, provider="log")
