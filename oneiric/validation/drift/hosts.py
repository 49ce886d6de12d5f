"""Which hosts may be asked: that of production, and those that somebody named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


class Place(NamedTuple):
    """Scheme, host and port of an address; the names of this machine are one."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Place | None:
        """Return the place of *url*, or None where it is no address that could be asked.

        >>> Place.of("http://127.0.0.1:8000/x") == Place.of("http://localhost:8000")
        True
        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower().rstrip("."), parts.port
        except ValueError:
            return None
        if parts.scheme not in _PORTS or not host or "@" in parts.netloc or "\\" in url:
            return None
        known = "localhost" if host in _LOOPBACK else host
        return cls(parts.scheme, known, _PORTS[parts.scheme] if port is None else port)

    @property
    def has_usual_port(self) -> bool:
        """Whether the port is that of the scheme."""
        return self.port == _PORTS[self.scheme]


class Hosts:
    """Tell production's own address, and the hosts that may be asked besides.

    >>> hosts = Hosts("http://localhost:8000", ["*.example.com", "cdn.example.org:8443"])
    >>> hosts.is_production("http://127.0.0.1:8000/users"), hosts.allows("https://a.example.com")
    (True, True)
    >>> hosts.allows("https://cdn.example.org"), hosts.allows("http://169.254.169.254/")
    (False, False)
    """

    def __init__(self, prod_url: str, allowed: Iterable[str]) -> None:
        self._production = Place.of(prod_url)
        self._entries = [_entry(text) for text in allowed]

    def is_production(self, url: str) -> bool:
        """Tell whether *url* has production's scheme, host and port."""
        place = Place.of(url)
        return place is not None and place == self._production

    def allows(self, url: str) -> bool:
        """Tell whether *url* may be asked."""
        place, own = Place.of(url), self._production
        if place is None:
            return False
        if own is not None and place.host == own.host:
            is_beside = place.has_usual_port and own.has_usual_port
            if place == own or is_beside:
                return True
        return any(_matches(place, host, port) for host, port in self._entries)


def _entry(text: str) -> tuple[str, int | None]:
    bare = text.strip().lower().rpartition("://")[2].rstrip("/")
    host, colon, port = bare.rpartition(":")
    if not colon or not port.isdecimal() or host.endswith(":"):
        host, port = bare, ""
    name = host.strip("[]").rstrip(".")
    return "localhost" if name in _LOOPBACK else name, int(port) if port else None


def _matches(place: Place, host: str, port: int | None) -> bool:
    named = place.host.endswith(host[1:]) if host.startswith("*.") else place.host == host
    return named and (place.has_usual_port if port is None else place.port == port)
