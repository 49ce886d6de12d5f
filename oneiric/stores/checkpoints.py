"""What the steps of a run have given so far, for whoever goes on with it."""

from __future__ import annotations

from collections.abc import Mapping

from oneiric.errors import JSONValue
from oneiric.runs.journal import Journal
from oneiric.runs.run import fold
from oneiric.stores.run_rows import missing


class WorkflowCheckpointStore:
    """Show the progress of a workflow's run, as its journal tells.

    A checkpoint is nothing that is saved beside the journal: each recorded step is in it, while
    the run is under way, after it ended and after a crash. It belongs to one run, so that no
    run of the same workflow can take up what another did.
    """

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def load(self, run_id: str) -> Mapping[str, JSONValue]:
        """Return the results of the steps of a run that succeeded so far, by step.

        Raises:
            NotFoundError: there is no such run.
            StoreError: the journal cannot be read.
        """
        events = await self._journal.read(run_id)
        if not events:
            raise missing(run_id)
        return fold(events).results
