"""Structured logs: events with keys, never sentences; secrets masked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

ROOT = "oneiric"
_LEVELS: Mapping[str, int] = MappingProxyType(
    {
        "debug": logging.DEBUG,
        "info": logging.INFO,
        "warning": logging.WARNING,
        "error": logging.ERROR,
        "exception": logging.ERROR,
        "critical": logging.CRITICAL,
    }
)
_ROOM = "oneiric.text.structured"
"""Who tells events by structlog, which many a command never needs; imported at the first."""


def get_logger(name: str, **context: object) -> BoundLogger:
    """Return a logger below `oneiric` whose events are words with keys.

    Until `configure_logging` is called, events go wherever the standard library's logging
    sends them: warnings to stderr, the rest nowhere. Nothing ever goes to stdout.

    >>> get_logger("oneiric.demo", domain="adapter").debug("component-swapped", provider="redis")
    """
    return cast("BoundLogger", _Logger(name, context))


class _Logger:
    """A logger of structlog, made when the first event is told that somebody listens to."""

    def __init__(self, name: str, context: Mapping[str, object]) -> None:
        self._name = name
        self._context = context
        self._listens = logging.getLogger(name).isEnabledFor
        self._opened: BoundLogger | None = None

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        if self._opened is None:
            if method in _LEVELS and not self._listens(_LEVELS[method]):
                return _tell_nobody
            self._opened = import_module(_ROOM).bound(self._name, self._context)
        return getattr(self._opened, method)


def _tell_nobody(*_event: object, **_keys: object) -> None:
    """Tell an event to nobody."""


def configure_logging(stream: TextIO, *, level: str = "warning", emit_json: bool = False) -> None:
    """Send the events of all `oneiric` loggers to *stream*, as lines of text or JSON.

    What the standard library's loggers get as `extra` becomes keys of the event, and so does
    what is at work: `domain`, `key`, `provider`, `run`, `step`, `trace_id` and `span_id`, as far
    as known. Calling it again replaces what an earlier call set up.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(emit_json=emit_json))
    send_to([handler], level=level)


def send_to(handlers: Sequence[logging.Handler], *, level: str) -> None:
    """Send the events of all `oneiric` loggers to *handlers*, in place of what was set up before.

    What was set up before is closed.
    """
    root = logging.getLogger(ROOT)
    before, root.handlers[:] = root.handlers[:], handlers
    root.setLevel(level.upper())
    root.propagate = False
    for handler in before:
        if handler not in handlers:
            handler.close()


def formatter(*, emit_json: bool) -> logging.Formatter:
    """Return what makes a line of an event, of text or JSON."""
    return _Formatter(emit_json=emit_json)


class _Formatter(logging.Formatter):
    """Makes lines by structlog, which is asked at the first one."""

    def __init__(self, *, emit_json: bool) -> None:
        super().__init__()
        self._emit_json = emit_json
        self._opened: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        if self._opened is None:
            self._opened = import_module(_ROOM).rendering(emit_json=self._emit_json)
        return self._opened.format(record)
