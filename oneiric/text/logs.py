"""Structured logs: events with keys, never sentences; secrets masked."""

from __future__ import annotations

import json
import logging
import re
import textwrap
from collections.abc import MutableMapping, Sequence
from typing import Any, TextIO

import structlog

from oneiric.text.printable import printable
from oneiric.text.redaction import redacted
from oneiric.text.tracing import DOING

ROOT = "oneiric"
_FIRST = ("timestamp", "level", "event")
_PLAIN = re.compile(r"[^\s=\"'\x00-\x1f\x7f-\x9f]+")
_INSET = "    "


def get_logger(name: str, **context: object) -> structlog.stdlib.BoundLogger:
    """Return a logger below `oneiric` whose events are words with keys.

    Until `configure_logging` is called, events go wherever the standard library's logging
    sends them: warnings to stderr, the rest nowhere. Nothing ever goes to stdout.

    >>> get_logger("oneiric.demo", domain="adapter").debug("component-swapped", provider="redis")
    """
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            *_FACTS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger.bind(**context) if context else logger


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
    renderer = structlog.processors.JSONRenderer(sort_keys=True) if emit_json else _line
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            renderer,
            _escape,
        ],
        foreign_pre_chain=[
            structlog.stdlib.ExtraAdder(),
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            *_FACTS,
        ],
    )


def _line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Return `name=value` of each key, quoted as in JSON where it could be read as anything else.

    What an exception says follows in lines of its own, set in so that none looks like an event.
    """
    said = event.pop("exception", None)
    first = {name: event.pop(name) for name in _FIRST if name in event}
    told = {**first, **event}
    line = " ".join(f"{_word(name)}={_word(value)}" for name, value in told.items())
    return line if said is None else f"{line}\n{textwrap.indent(str(said), _INSET, bool)}"


def _word(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _escape(_logger: object, _method: str, line: Any) -> str:
    return printable(line)


def _redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name in tuple(event):
        if name != "exc_info":
            event[name] = redacted({name: event[name]})[name]  # type: ignore[index]
    return event


def _at_work(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    doing = DOING.get()
    if doing is not None:
        for name, value in doing.keys().items():
            event.setdefault(name, value)
    return event


_FACTS = (
    _at_work,
    _redact,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
"""What is told of every event, whoever logs it."""
