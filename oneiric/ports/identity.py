"""Tell who calls, from what a caller shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from oneiric.core.ref import ComponentRef
from oneiric.ports.adapter import Adapter

LONGEST_TOKEN = 16 * 1024
"""The most characters of a token that any provider looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Name who calls, as was proved: nothing in it is a secret.

    >>> Principal(subject="ci")
    Principal(subject='ci', issuer='', email='')

    Args:
        subject: who it is, unique within the issuer.
        issuer: who says so; empty where the provider itself does.
        email: their verified address, where the issuer tells one.
    """

    subject: str
    issuer: str = ""
    email: str = ""


class Identity(Adapter, Protocol):
    """Tell callers apart, and turn away who cannot prove who they are, or may not call.

    No token ever reaches a log, a `repr` or an error, whole or in part.
    """

    async def authenticate(self, token: str) -> Principal:
        """Return who shows *token*, a bearer token without its scheme; empty where there is none.

        Raises:
            UnauthenticatedError: it proves nothing: missing, malformed, forged, expired, or
                made for somebody else.
            PermissionDeniedError: it proves who calls, and they may not.
            UnavailableError: nobody can tell now; the same call may succeed later.
        """
        ...


IDENTITY: ComponentRef[Identity] = ComponentRef("adapter:identity")
