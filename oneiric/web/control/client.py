"""Ask a running orchestrator over its socket; blocking, and of the standard library alone."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from oneiric.errors import JSONValue, OneiricError, UnavailableError
from oneiric.web.unix import short_path

LIMIT_SECONDS = 10.0
"""How long nothing may be heard: a server at work says so more often than that."""

LONGEST = 64 << 20
"""Bytes of an answer that are taken."""

_EXIT_CODE = "Oneiric-Exit-Code"
_NOBODY = (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR, errno.ENOTSOCK)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    exit_code: int
    body: Any


class ToldError(OneiricError):
    """An error of the orchestrator that was asked, with its code, details and exit code."""

    def __init__(self, told: Mapping[str, Any], lines: Sequence[str], exit_code: int) -> None:
        super().__init__(str(told["message"]), hint=str(told["hint"]))
        vars(self).update(code=str(told["code"]), exit_code=exit_code)
        self._details = dict(told["details"])
        self._lines = tuple(map(str, lines))

    def details(self) -> Mapping[str, JSONValue]:
        return self._details

    def lines(self) -> Sequence[str]:
        return self._lines


class ControlClient:
    """Ask the server at *path*, one question a connection.

    Args:
        path: its socket.
        limit: seconds that nothing may be heard.
    """

    def __init__(self, path: Path, *, limit: float = LIMIT_SECONDS) -> None:
        self._path = path
        self._limit = limit

    def is_there(self) -> bool:
        """Tell whether somebody listens; what a dead process left tells that nobody does.

        Raises:
            UnavailableError: somebody may, and cannot be reached.
        """
        connection = _Connection(self._path, self._limit)
        try:
            connection.connect()
        except OSError as error:
            if error.errno in _NOBODY:
                return False
            raise self._unreachable(error) from None
        finally:
            connection.close()
        return True

    def ask(
        self,
        path: str,
        asked: Mapping[str, JSONValue],
        *,
        reads: bool,
        headers: Mapping[str, str],
    ) -> Reply:
        """Ask once, and return the answer.

        Raises:
            ToldError: the server says why it was not done.
            UnavailableError: it cannot be reached, goes away, or is not heard for the limit.
        """
        method, body, fields = "GET", None, dict(headers)
        if reads:
            path = f"{path}?{urlencode(_parameters(asked), doseq=True)}"
        else:
            method, body = "POST", json.dumps(asked).encode()
            fields["Content-Type"] = "application/json"
        connection = _Connection(self._path, self._limit)
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            data = response.read(LONGEST + 1)
        except TimeoutError:
            raise UnavailableError(
                f"the orchestrator at {self._path} was not heard for {self._limit:g} s",
                hint="it may be stopped or hang; nothing was done here instead",
            ) from None
        except OSError as error:
            raise self._unreachable(error) from None
        except http.client.HTTPException as error:
            raise self._garbled(type(error).__name__) from None
        finally:
            connection.close()
        return self._read(response, data)

    def _read(self, response: http.client.HTTPResponse, data: bytes) -> Reply:
        if len(data) > LONGEST:
            raise self._garbled(f"more than {LONGEST} bytes")
        try:
            exit_code, body = int(response.getheader(_EXIT_CODE, "")), json.loads(data)
        except ValueError:
            raise self._garbled(f"status {response.status}") from None
        if response.status < 400:
            return Reply(exit_code, body)
        try:
            error = ToldError(body["error"], body.get("lines", ()), exit_code)
        except (KeyError, TypeError, ValueError):
            raise self._garbled(f"status {response.status}") from None
        raise error

    def _garbled(self, what: str) -> UnavailableError:
        return UnavailableError(f"what answers at {self._path} is no orchestrator: {what}")

    def _unreachable(self, error: OSError) -> UnavailableError:
        if isinstance(error, http.client.RemoteDisconnected | ConnectionError):
            return UnavailableError(
                f"the orchestrator at {self._path} went away before it answered",
                hint="what was asked of it may have been done",
            )
        reason = (error.strerror or str(error)).lower()
        hint = ""
        if error.errno in (errno.EACCES, errno.EPERM):
            hint = "it answers its own user only"
        return UnavailableError(
            f"the orchestrator at {self._path} cannot be asked: {reason}", hint=hint
        )


class _Connection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: Path, limit: float) -> None:
        super().__init__("localhost", timeout=limit)
        self._path = path

    def connect(self) -> None:
        """Connect, within the limit."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with short_path(self._path) as near:
            self.sock.connect(near)


def _parameters(asked: Mapping[str, JSONValue]) -> dict[str, Any]:
    """Return what is asked as text, true and false in JSON's spelling."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in asked.items()
    }
