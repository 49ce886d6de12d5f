"""Tell whoever watches from outside what was done and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from oneiric.core.ref import ComponentRef
from oneiric.metrics import Series
from oneiric.ports.adapter import Adapter
from oneiric.text.tracing import Span


class Monitor(Adapter, Protocol):
    """Take spans and metrics; what an export returned for was taken, whole.

    Nothing is kept for later: whoever exports decides what becomes of what was not taken. An
    export ends within the provider's limit, and its `health` tells whether the last one was
    taken.
    """

    async def export_spans(self, spans: Sequence[Span]) -> None:
        """Take spans that have ended, in any order; one that comes twice has the same ids.

        Raises:
            UnavailableError: the receiver cannot be reached or did not answer in time.
            AdapterError: the receiver refuses them.
        """
        ...

    async def export_metrics(self, series: Sequence[Series]) -> None:
        """Take all series as they are now; counters count from the begin of the process.

        Raises:
            UnavailableError, AdapterError: as in `export_spans`.
        """
        ...


MONITORING: ComponentRef[Monitor] = ComponentRef("adapter:monitoring")
