"""Which hosts may be asked: that of production, and those that somebody named."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from oneiric.errors import RefusedError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_SCHEMES: Mapping[str, str] = MappingProxyType(
    {"http": "http", "https": "https", "ws": "http", "wss": "https"}
)
_PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443})
_USUAL = frozenset(_PORTS.values())
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data"})
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_MOST_KNOWN = 1_000


class HostRefusedError(RefusedError):
    """A host that may not be asked."""

    code = "host-not-allowed"


class Place(NamedTuple):
    """Scheme, host and port of an address; the names of this machine are one."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return self.host if self.port in _USUAL else f"{self.host}:{self.port}"

    @classmethod
    def of(cls, url: str) -> Place | None:
        """Return where *url* leads, or None where that is no host, or could be read in two ways.

        >>> Place.of("http://127.0.0.1:8000/x") == Place.of("ws://me:pw@localhost:8000")
        True
        >>> Place.of("about:blank") is None
        True
        """
        try:
            parts = urlsplit(url)
            host, port = _same(parts.hostname or ""), parts.port
        except ValueError:
            return None
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not host or "\\" in parts.netloc or port == 0:
            return None
        return cls(scheme, host, _PORTS[scheme] if port is None else port)


class Hosts:
    """Tell production's own address, and the hosts that may be asked besides.

    An entry is `host`, `host:port`, or `*.host` for all below it; without a port it stands for
    80 and 443, and so does production where it has one of these. What gives machines their
    credentials (link-local and metadata addresses) may never be asked unless it stands in the
    list itself or is production; not by a wildcard, nor where a name leads there.

    >>> hosts = Hosts("http://localhost:8000", ["*.example.com", "cdn.example.org:8443"])
    >>> hosts.is_production("http://127.0.0.1:8000/users"), hosts.allows("https://a.example.com")
    (True, True)
    >>> hosts.allows("https://cdn.example.org"), hosts.allows("http://localhost:6379")
    (False, False)
    """

    def __init__(self, prod_url: str = "", listed: Iterable[str] = ()) -> None:
        self._production = Place.of(prod_url)
        self._listed = frozenset(_entry(text) for text in listed if text.strip())
        self._passed: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether neither production nor any other host was named."""
        return self._production is None and not self._listed

    def is_production(self, url: str) -> bool:
        """Tell whether *url* has production's scheme, host and port."""
        place = Place.of(url)
        return place is not None and place == self._production

    def allows(self, where: str | Place | None) -> bool:
        """Tell whether an address may be asked, as one that was named."""
        place = Place.of(where) if isinstance(where, str) else where
        if place is None:
            return False
        own = self._production
        if own is not None and own.host == place.host:
            ports = {own.port, place.port}
            if len(ports) == 1 or ports <= _USUAL:
                return True
        if self._names(place.host, place.port):
            return True
        return not _gives_credentials(place.host) and any(
            self._names(f"*.{above}", place.port) for above in _above(place.host)
        )

    def check(self, url: str, *, after: str = "") -> None:
        """Pass if *url* may be asked, *after* being where a redirect came from.

        Where nobody was named, the host of any address may be asked, but none other that a
        redirect leads to.

        Raises:
            HostRefusedError: it may not.
        """
        begin = begin_of(url)
        if begin in self._passed and not after:
            return
        place, before = Place.of(url), Place.of(after)
        if not self.allows(place):
            if place is not None and _gives_credentials(place.host):
                what = f"{place.host} gives machines their credentials; it is never asked"
                raise HostRefusedError(what)
            is_near = place is not None and (before is None or before.host == place.host)
            if not (self.is_open and is_near):
                what = f"{place or 'it'} is none of the hosts that may be asked"
                raise HostRefusedError(what, hint="list it in validation.allow_hosts")
        if len(self._passed) >= _MOST_KNOWN:
            self._passed.clear()
        self._passed.add(begin)

    def allows_address(self, address: str, port: int) -> bool:
        """Tell whether a name may lead to *address*: where it gives no credentials, or is listed.

        >>> Hosts().allows_address("169.254.169.254", 80), Hosts().allows_address("10.0.0.1", 80)
        (False, True)
        """
        if not is_metadata(address):
            return True
        own = self._production
        return self._names(address, port) or (own is not None and own[1:] == (address, port))

    def _names(self, host: str, port: int) -> bool:
        return (host, port) in self._listed or (port in _USUAL and (host, 0) in self._listed)


def is_metadata(host: str) -> bool:
    """Tell whether an address is link-local, or known to give machines their credentials.

    >>> is_metadata("169.254.169.254"), is_metadata("::ffff:169.254.169.254"), is_metadata("::1")
    (True, True, False)
    """
    try:
        address: Address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return any(each.is_link_local or each in _METADATA for each in _meanings(address))


def begin_of(url: str) -> str:
    """Return the begin of an address, up to its path: all that says which host it is of.

    >>> begin_of("https://api.example.com/health")
    'https://api.example.com'
    """
    return "/".join(url.split("/", 3)[:3])


def _gives_credentials(host: str) -> bool:
    return host in _METADATA_NAMES or is_metadata(host)


def _meanings(address: Address) -> Iterable[Address]:
    """Yield an address, and the one that it stands for within version 6."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        yield from filter(None, (address.ipv4_mapped, address.sixtofour))
        if address in _TRANSLATED:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _same(host: str) -> str:
    name = host.lower().rstrip(".")
    return "localhost" if name in _LOOPBACK else name


def _entry(text: str) -> tuple[str, int]:
    """Return host and port of an entry; 0 where it names no port."""
    bare = text.strip().lower().rpartition("://")[2].rstrip("/")
    host, _, port = bare.rpartition(":")
    if not port.isdecimal() or (":" in host and not host.endswith("]")):
        host, port = bare, ""
    return _same(host.strip("[]")), int(port or 0)


def _above(host: str) -> Iterable[str]:
    parts = host.split(".")
    return (".".join(parts[at:]) for at in range(1, len(parts)))
