"""Check claims about a service that runs, and give proofs of what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from oneiric.core.ref import ComponentRef
from oneiric.errors import JSONValue, Problem
from oneiric.ports.adapter import Adapter
from oneiric.runs.proof import Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Tell what one check found: its proof, and what it took from the answer for later checks.

    `captured` may hold secrets, such as the token of a session. It is handed to the next check
    and stored nowhere.
    """

    proof: Proof
    captured: Mapping[str, JSONValue] = field(default_factory=dict, repr=False)


class Validator(Adapter, Protocol):
    """Do checks, each within its own limit of time.

    A check that fails, or cannot be done, is a proof that says so, never an error. A proof is
    told apart by `facts["check"]`, the check's id, which is derived from what the check asks
    where nobody gave one. A provider that has the capability of a check's `kind` does such
    checks.
    """

    def problems(self, checks: Sequence[Mapping[str, JSONValue]]) -> list[Problem]:
        """Return everything that is wrong with checks, before any of them is done.

        The key of a problem begins with the number of its check, from 0.
        """
        ...

    async def prove(
        self, check: Mapping[str, JSONValue], *, captured: Mapping[str, JSONValue]
    ) -> Evidence:
        """Do one check and return what it found.

        *captured* is what earlier checks have taken; the check may refer to it.

        Raises:
            InvalidRequestError: the check itself is wrong; nothing was sent.
            PermissionDeniedError: it asks for a host or method that is not allowed.
        """
        ...


VALIDATOR: ComponentRef[Validator] = ComponentRef("adapter:validator")
