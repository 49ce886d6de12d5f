"""A run that somebody names by the beginning of its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from oneiric.errors import InvalidError, JSONValue, NotFoundError

if TYPE_CHECKING:
    from oneiric.runs.journal import Journal, RunRecord

_MOST_NAMED = 5
_LAST = "\U0010ffff"


class AmbiguousRunError(InvalidError):
    """The beginning of an id that several runs share."""

    code = "ambiguous-run"

    def __init__(self, text: str, found: Sequence[str]) -> None:
        super().__init__(f"several runs begin with {text}", hint="write more of the id")
        self.text = text
        self.found = tuple(found)

    def details(self) -> Mapping[str, JSONValue]:
        return {"text": self.text, "runs": list(self.found)}

    def lines(self) -> Sequence[str]:
        return self.found


async def found_run(journal: Journal, text: str) -> RunRecord:
    """Return the run of that id, or the only one whose id begins so.

    Raises:
        NotFoundError, AmbiguousRunError: there is none, or more than one.
    """
    whole = await journal.runs(before=f"{text}\0", limit=1)
    if whole and whole[0].run_id == text:
        return whole[0]
    near = await journal.runs(before=text + _LAST, limit=_MOST_NAMED) if text else ()
    found = [record for record in near if record.run_id.startswith(text)]
    if not found:
        raise NotFoundError("run", text, hint="oneiric run list")
    if len(found) > 1:
        raise AmbiguousRunError(text, [record.run_id for record in found])
    return found[0]
