"""Steps that were done in an earlier run: they give again what they gave there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneiric.errors import JSONValue


class KeptStep:
    """Return the result that the run was given for the step."""

    async def run(self, payload: JSONValue) -> JSONValue:
        """Return it."""
        return payload
