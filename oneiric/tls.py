"""The authorities that a client trusts."""

import asyncio
import ssl
from pathlib import Path

from oneiric.ports.errors import InvalidRequestError


async def read_trust(
    ca_file: Path | None, *, backend: str, besides_system: bool = False
) -> ssl.SSLContext:
    """Return what trusts the authorities of *ca_file*, or those of the system where it is None.

    Args:
        ca_file: a file of certificates.
        backend: who is told to be asked wrongly.
        besides_system: whether those of the system are trusted in any case.

    Raises:
        InvalidRequestError: the file cannot be read or holds no certificate.
    """

    def read() -> ssl.SSLContext:
        if not besides_system or ca_file is None:
            return ssl.create_default_context(cafile=ca_file)
        trust = ssl.create_default_context()
        trust.load_verify_locations(ca_file)
        return trust

    try:
        return await asyncio.to_thread(read)
    except OSError as error:
        raise InvalidRequestError(backend, f"no certificates in {ca_file}") from error
