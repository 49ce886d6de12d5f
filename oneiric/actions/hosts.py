"""Which hosts an action may call: those that the settings name, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from oneiric.errors import JSONValue, RefusedError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ENTRY = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>(?:\*\.)?[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?"
)
_HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:.]+")
_STRANGE = re.compile(r"[^\x21-\x7e]|\\")
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


class ForbiddenHostError(RefusedError):
    """An address that the settings do not allow an action to call."""

    code = "forbidden-host"

    def __init__(self, host: str, reason: str, *, allowed: Iterable[str], hint: str = "") -> None:
        super().__init__(f"{host or 'the address'} may not be called: {reason}", hint=hint)
        self.host = host
        self.reason = reason
        self.allowed = tuple(allowed)

    def details(self) -> Mapping[str, JSONValue]:
        return {"host": self.host, "reason": self.reason, "allowed": list(self.allowed)}


class Hosts:
    """Allow hosts by name, `*.` before one for all below it, a port or a scheme if it matters.

    `api.example.com` allows https on port 443, `api.example.com:8443` another port, and
    `http://intranet` plain HTTP. For this machine itself plain HTTP needs no scheme, but it
    must be named as any other; without entries nothing is allowed.

    >>> hosts = Hosts(["*.example.com", "localhost:8080"], provider="builtin-http-fetch")
    >>> hosts.allow("https://api.example.com/v1"), hosts.allow("http://localhost:8080/")
    (True, True)
    >>> hosts.allow("https://example.org/")
    Traceback (most recent call last):
    oneiric.actions.hosts.ForbiddenHostError: https://example.org may not be called: ...

    Raises:
        ValueError: an entry is none of these.
    """

    def __init__(self, allowed: Iterable[str], *, provider: str) -> None:
        self.allowed = tuple(allowed)
        self._provider = provider
        self._entries = [_entry(text) for text in self.allowed]

    def allow(self, url: str) -> bool:
        """Return True, or refuse.

        Raises:
            ForbiddenHostError: the host is not allowed, or the address could be read in two
                ways.
        """
        scheme, host, port = self._parts(url)
        for wanted, name, number in self._entries:
            plain = wanted == "http" or (not wanted and host in LOOPBACK)
            if not _is_named(host, name) or (wanted or scheme) != scheme:
                continue
            if scheme == "http" and not plain:
                continue
            if port == (number or _PORTS[scheme]):
                return True
        shown = f"{scheme}://{host}" + ("" if port == _PORTS[scheme] else f":{port}")
        raise self._refused(shown, "no entry of allowed_hosts names it")

    def _parts(self, url: str) -> tuple[str, str, int]:
        if _STRANGE.search(url):
            raise self._refused("", "it holds a space, a backslash or what is not ASCII")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise self._refused("", "it cannot be read") from None
        if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
            raise self._refused("", "it must begin with https:// or http:// and a host")
        if "@" in parts.netloc:
            raise self._refused(host, "it holds credentials; send them in a header")
        return parts.scheme, host, _PORTS[parts.scheme] if port is None else port

    def _refused(self, host: str, reason: str) -> ForbiddenHostError:
        key = f"actions.provider_settings.{self._provider}"
        hint = f"name it in [{key}] allowed_hosts if actions may call it"
        return ForbiddenHostError(host, reason, allowed=self.allowed, hint=hint)


def _entry(text: str) -> tuple[str, str, int]:
    match = _ENTRY.fullmatch(text.lower())
    if match is None:
        raise ValueError(f"{text!r} is no host, host:port or scheme://host")
    return match["scheme"] or "", match["host"].strip("[]"), int(match["port"] or 0)


def is_entry(text: str) -> str:
    """Return *text* if it can stand in a list of allowed hosts.

    Raises:
        ValueError: it cannot.
    """
    _entry(text)
    return text


def _is_named(host: str, name: str) -> bool:
    return host.endswith(name[1:]) if name.startswith("*.") else host == name
