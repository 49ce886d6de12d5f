"""Log what goes wrong with requests: one event with keys for each turn."""

from __future__ import annotations

import logging

_log = logging.getLogger("oneiric.web")


def log_request_failed(method: str, path: str) -> None:
    """Log `request-failed` with the exception that is being handled."""
    _log.exception("request-failed", extra={"method": method, "path": path})
