"""Where log events go: streams, files that are rotated, and receivers that are posted to."""

from __future__ import annotations

import errno
import http.client
import logging
import os
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias
from urllib.parse import urlsplit

from oneiric.text.logs import formatter, send_to

if TYPE_CHECKING:
    from oneiric.runtime.settings import LoggingSettings, LogSinkSettings

OWN = "oneiric.logging"
_log = logging.getLogger(OWN)
Dropped: TypeAlias = Callable[[str, int], object]
CLOSE_SECONDS = 2.0
BATCH = 100
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
_BUSY = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Places:
    """What sinks may write to: a folder from which paths start, and streams.

    Without `stdout`, which a command keeps for its answer, stderr takes its place.
    """

    folder: Path
    stderr: TextIO
    stdout: TextIO | None = None


def log_to(
    settings: LoggingSettings, places: Places, *, debug: bool, dropped: Dropped
) -> Sequence[logging.Handler]:
    """Send the events of all `oneiric` loggers where *settings* say, and return the handlers.

    With *debug* everything goes to stderr too. What a sink does not take is counted with
    *dropped*, beginning with 0; no sink ever holds up whoever logs, but for a file or stream
    that does.
    """
    handlers: list[logging.Handler] = []
    for number, sink in enumerate(settings.sinks):
        name = f"{sink.target}-{number}"
        handler = _handler(sink, places, partial(dropped, name))
        as_json = settings.emit_json if sink.emit_json is None else sink.emit_json
        handler.setFormatter(formatter(emit_json=as_json or sink.target == "http"))
        handler.setLevel((sink.level or settings.level).upper())
        handlers.append(handler)
        dropped(name, 0)
    if debug or not handlers:
        handler = logging.StreamHandler(places.stderr)
        handler.setFormatter(formatter(emit_json=settings.emit_json))
        handlers.append(handler)
    levels = [sink.level or settings.level for sink in settings.sinks] or [settings.level]
    lowest = min(levels, key=lambda level: logging.getLevelNamesMapping()[level.upper()])
    send_to(handlers, level="debug" if debug else lowest)
    return handlers


def _handler(
    sink: LogSinkSettings, places: Places, dropped: Callable[[int], object]
) -> logging.Handler:
    if sink.target == "file":
        path = places.folder / sink.path
        return FileSink(path, most=sink.max_bytes, kept=sink.backup_count, dropped=dropped)
    if sink.target == "http":
        token = sink.token.get_secret_value() if sink.token else ""
        limits = (sink.buffer, sink.timeout_seconds)
        return HTTPSink(sink.endpoint, token=token, limits=limits, dropped=dropped)
    stream = places.stdout if sink.target == "stdout" else places.stderr
    return logging.StreamHandler(stream or places.stderr)


class FileSink(RotatingFileHandler):
    """Append lines to a file, and begin another when it is full; nobody else may read them.

    It is made with the first line. A line that cannot be written is dropped and counted, and
    that is logged once until one can.
    """

    def __init__(
        self, path: Path, *, most: int, kept: int, dropped: Callable[[int], object]
    ) -> None:
        super().__init__(path, maxBytes=most, backupCount=kept, encoding="utf-8", delay=True)
        self._dropped = dropped
        self._failing = False
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        if record.name == OWN:
            return
        lost = self._lost
        super().emit(record)
        self._failing = self._lost > lost

    def flush(self) -> None:
        """Hand what was written to the system; a disk that is full is told with the next line."""
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the library's name
        """Count what could not be written."""
        self._lose(sys.exception())

    def _lose(self, error: BaseException | None) -> None:
        self._lost += 1
        self._dropped(1)
        if not self._failing:
            self._failing = True
            reason = (isinstance(error, OSError) and error.strerror) or "it cannot be written"
            told = {"event": "log-sink-failed", "sink": self.baseFilename, "reason": reason.lower()}
            _log.error("log-sink-failed sink=%r", self.baseFilename, extra=told)

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = os.open(self.baseFilename, flags, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no regular file", self.baseFilename)
        return open(descriptor, "a", encoding="utf-8")  # noqa: PTH123  it is opened already


class HTTPSink(logging.Handler):
    """Post lines of JSON, up to a hundred at a time, from a thread of its own.

    Whoever logs never waits: a line that finds the buffer full is dropped and counted. While
    the receiver is down, or says that it is busy, the same lines are posted again after a pause
    that grows; what it refuses is dropped. Closing gives two seconds to what is left.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        token: str,
        limits: tuple[int, float],
        dropped: Callable[[int], object],
    ) -> None:
        super().__init__()
        self._url = urlsplit(endpoint)
        self._token = token
        self._most, self._timeout = limits
        self._dropped = dropped
        self._lines: deque[str] = deque()
        self._moved = threading.Condition()
        self._closing = False
        self._trouble = ""
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Put one line into the buffer, if it has room."""
        if record.name == OWN:
            return
        line = self.format(record)
        with self._moved:
            has_room = len(self._lines) < self._most and not self._closing
            if has_room:
                self._lines.append(line)
                self._moved.notify()
            if self._thread is None and has_room:
                self._thread = threading.Thread(target=self._run, name="oneiric-log", daemon=True)
                self._thread.start()
        if not has_room:
            self._dropped(1)

    def close(self) -> None:
        """Take no more, and give what is left two seconds."""
        with self._moved:
            self._closing = True
            self._moved.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
        with self._moved:
            left = len(self._lines)
            self._lines.clear()
        if left:
            self._dropped(left)
        super().close()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while batch := self._next():
            status = self._post(batch)
            if status and status not in _BUSY and status < 500:
                self._settle(batch, status)
                pause = FIRST_PAUSE
                continue
            self._fail(f"status {status}" if status else "it cannot be reached")
            with self._moved:
                if self._closing or self._moved.wait_for(lambda: self._closing, pause):
                    return
            pause = min(pause * 2, LONGEST_PAUSE)

    def _next(self) -> list[str]:
        """Wait for lines and return the oldest, which stay where they are; none at the end."""
        with self._moved:
            self._moved.wait_for(lambda: self._lines or self._closing)
            return [line for line, _ in zip(self._lines, range(BATCH), strict=False)]

    def _settle(self, batch: list[str], status: int) -> None:
        with self._moved:
            for _ in range(min(len(batch), len(self._lines))):
                self._lines.popleft()
        if 200 <= status < 300:
            self._trouble = ""
        else:
            self._dropped(len(batch))
            self._fail(f"status {status}")

    def _fail(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble = reason
            told = {"event": "log-sink-failed", "sink": self._url.hostname, "reason": reason}
            _log.error("log-sink-failed sink=%r", self._url.hostname, extra=told)

    def _post(self, batch: list[str]) -> int:
        """Post some lines and return the status; 0 where there was no answer."""
        is_tls = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=self._timeout)
        headers = {"Content-Type": "application/x-ndjson", "User-Agent": "oneiric"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        target = self._url._replace(scheme="", netloc="", fragment="").geturl() or "/"
        body = "".join(f"{line}\n" for line in batch).encode()
        try:
            connection.request("POST", target, body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
