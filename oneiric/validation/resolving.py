"""Find the addresses of hosts, but none that may not be asked."""

from __future__ import annotations

import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from oneiric.validation.hosts import HostRefusedError, Hosts


class AllowedResolver(AbstractResolver):
    """Resolve names, but none to an address that gives machines their credentials."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host* that may be asked.

        Raises:
            HostRefusedError: it has addresses, and none of them may be.
        """
        found = await self._inner.resolve(host, port, family)
        allowed = [each for each in found if self._hosts.allows_address(each["host"], port)]
        if found and not allowed:
            what = f"{host} leads to an address that gives machines their credentials"
            raise HostRefusedError(what)
        return allowed

    async def close(self) -> None:
        """Release nothing: there is nothing held."""
