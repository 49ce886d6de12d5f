"""Where something is fetched from: who may be asked, and who may be told a secret."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from oneiric.remote.errors import AddressError, RedirectError

Hosts: TypeAlias = Callable[[str], bool]
"""Tells whether a host may be asked: `cdn.example.org`, or with its port `cdn.example.org:8443`."""

LONGEST = 4096
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_STRANGE = re.compile(r"[^\x21-\x7e]|\\")
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: all of an address that may be shown, and what credentials go by.

    >>> Origin.of("https://CDN.example.org:443/a?token=1")
    Origin(scheme='https', host='cdn.example.org', port=443)
    >>> str(Origin.of("http://127.0.0.1:8080/x"))
    'http://127.0.0.1:8080'
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, uri: str) -> Self:
        """Return the origin of an address that may be fetched: https, or http on this machine.

        Raises:
            AddressError: it may not, or it could be read in two ways.
        """
        if len(uri) > LONGEST or _STRANGE.search(uri):
            raise AddressError("", "it is too long, or holds a space, a backslash or non-ASCII")
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise AddressError("", "it cannot be read") from None
        if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
            raise AddressError("", "it must begin with https:// and a host")
        if "@" in parts.netloc:
            raise AddressError(host, "it holds credentials; name a secret in the settings")
        origin = cls(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)
        if origin.scheme == "http" and not origin.is_loopback:
            raise AddressError(str(origin), "only https is, except on this machine")
        return origin

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, by name or by address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def netloc(self) -> str:
        """The host, with its port where that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret, and the one origin that it is sent to."""

    origin: Origin
    token: str = field(repr=False)

    def fields_for(self, origin: Origin) -> dict[str, str]:
        """Return the header fields for *origin*: none unless it is the one.

        >>> own = Credential(Origin.of("https://a.example"), "s3cret")
        >>> own.fields_for(Origin.of("https://b.example"))
        {}
        """
        return {"Authorization": f"Bearer {self.token}"} if origin == self.origin else {}


def redirected(uri: str, location: str) -> str:
    """Return the address that *uri* is redirected to, without a fragment.

    Never from https to http, and never from elsewhere to this machine.

    Raises:
        RedirectError: it may not lead there.
    """
    old = Origin.of(uri)
    try:
        target = urlsplit(urljoin(uri, location.strip()))._replace(fragment="").geturl()
        new = Origin.of(target)
    except (AddressError, ValueError) as error:
        reason = error.reason if isinstance(error, AddressError) else "it cannot be read"
        raise RedirectError(str(old), f"redirects to where nothing is fetched: {reason}") from None
    if old.scheme == "https" and new.scheme != "https":
        raise RedirectError(str(old), "redirects from https to http")
    if new.is_loopback and not old.is_loopback:
        raise RedirectError(str(old), "redirects to this machine")
    return target


def local_path(uri: str) -> Path | None:
    """Return the path of a local file, given as one or as `file://`; None for any other scheme.

    >>> local_path("file:///srv/a%20b.json"), local_path("manifests/local.yaml")
    (PosixPath('/srv/a b.json'), PosixPath('manifests/local.yaml'))
    >>> local_path("https://example.org/m.json") is None
    True

    Raises:
        AddressError: `file://` with a host, or without a path; a path that holds a null byte.
    """
    if not _SCHEME.match(uri):
        return _path(uri)
    if not uri.lower().startswith("file:"):
        return None
    try:
        parts: SplitResult = urlsplit(uri)
    except ValueError:  # such as a bracket that is not closed
        parts = SplitResult("file", "?", "", "", "")
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise AddressError("file:", "it must be file:///an/absolute/path")
    return _path(unquote(parts.path))


def _path(text: str) -> Path:
    if "\0" in text:
        raise AddressError("", "it holds a null byte, which no path may")
    return Path(text)
