"""How structlog tells the events of the house: their facts, and the lines made of them."""

from __future__ import annotations

import json
import logging
import re
import textwrap
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from oneiric.text.printable import printable
from oneiric.text.redaction import redacted
from oneiric.text.tracing import DOING

_FIRST = ("timestamp", "level", "event")
_PLAIN = re.compile(r"[^\s=\"'\x00-\x1f\x7f-\x9f]+")
_INSET = "    "


def bound(name: str, context: Mapping[str, object]) -> structlog.stdlib.BoundLogger:
    """Return the logger *name*, whose events all have the keys of *context*."""
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


def rendering(*, emit_json: bool) -> logging.Formatter:
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
