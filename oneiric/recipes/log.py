"""Logs of scriptlets: lines on stderr, for stdout is for envelopes."""

from __future__ import annotations

import logging
import sys


def tell(line: str) -> None:
    """Write a line to whatever is stderr at the time."""
    sys.stderr.write(f"{line}\n")


class _Stderr(logging.Handler):
    """Hand records on to `tell`."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(self.format(record))


def get_logger(name: str) -> logging.Logger:
    """Return the logger of that name; what it logs from INFO on goes to stderr."""
    logger = logging.getLogger(name)
    if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
        handler = _Stderr()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger
