"""Which hosts a check may ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from oneiric.errors import RefusedError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443})
_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data"})
_MOST_KNOWN = 1_000
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


class HostRefusedError(RefusedError):
    """A host that no check may ask."""

    code = "host-not-allowed"


class AllowedHosts:
    """Tell whether a host may be asked: `host`, `host:port`, or `*.host` for all below it.

    With no list, the host of each check's own address may be asked, but none that a redirect
    leads to. What gives a machine its credentials (link-local and metadata addresses) may never
    be asked unless it stands in the list itself, not even where a name leads there.

    >>> allowed = AllowedHosts(["api.example.com", "*.example.org"])
    >>> allowed.permits("https://api.example.com/"), allowed.permits("https://example.net/")
    (True, False)
    """

    def __init__(self, listed: Iterable[str]) -> None:
        self._listed = frozenset(each.strip().lower() for each in listed if each.strip())
        self._passed: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether there is no list."""
        return not self._listed

    def permits(self, url: str) -> bool:
        """Tell whether the host of *url* is in the list."""
        parts = urlsplit(url)
        return self._names(_host(parts), parts.port or _PORTS.get(parts.scheme, 0))

    def check(self, url: str, *, after: str = "") -> None:
        """Pass if *url* may be asked, *after* being where a redirect came from.

        Raises:
            HostRefusedError: it may not.
        """
        begin = begin_of(url)
        if begin in self._passed and not after:
            return
        parts = urlsplit(url)
        host, port = _host(parts), parts.port or _PORTS.get(parts.scheme, 0)
        if self._names(host, port):
            self._pass(begin)
            return
        if host in _METADATA_NAMES or is_metadata(host):
            raise HostRefusedError(f"{host} gives machines their credentials; it is never asked")
        before = urlsplit(after)
        if self.is_open and (not after or _host(before) == host):
            self._pass(begin)
            return
        hint = "list it in validation.allow_hosts"
        raise HostRefusedError(f"{host} is none of the hosts that may be asked", hint=hint)

    def _pass(self, begin: str) -> None:
        """Remember that addresses which begin so may be asked."""
        if len(self._passed) >= _MOST_KNOWN:
            self._passed.clear()
        self._passed.add(begin)

    def resolves(self, host: str, port: int, address: str) -> bool:
        """Tell whether *host* may lead to *address*."""
        return not is_metadata(address) or self._names(host.lower(), port)

    def _names(self, host: str, port: int) -> bool:
        if not self._listed:
            return False
        for name in _LOOPBACK if host in _LOOPBACK else (host,):
            shown = f"[{name}]" if ":" in name else name
            if not self._listed.isdisjoint((name, shown, f"{shown}:{port}")):
                return True
        parts = host.split(".")
        above = (".".join(parts[at:]) for at in range(1, len(parts)))
        return any(f"*.{name}" in self._listed for name in above)


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


def _meanings(address: Address) -> Iterable[Address]:
    """Yield an address, and the one that it stands for within version 6."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        yield from filter(None, (address.ipv4_mapped, address.sixtofour))
        if address in _TRANSLATED:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")


def host_of(url: str) -> str:
    """Return `host` or `host:port` of an address, as a list of hosts would name it."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def begin_of(url: str) -> str:
    """Return the begin of an address, up to its path: all that says which host it is of.

    >>> begin_of("https://api.example.com/health")
    'https://api.example.com'
    """
    return "/".join(url.split("/", 3)[:3])
