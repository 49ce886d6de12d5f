"""Spans and metrics, kept in this process."""

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from oneiric.adapters.settings import AdapterSettings
from oneiric.core.health import HealthReport
from oneiric.metrics import Series
from oneiric.text.tracing import Span


class InProcessMonitorSettings(AdapterSettings):
    """Say how many of the latest spans are kept."""

    most_spans: int = Field(default=1_000, ge=0, le=100_000)


class InProcessMonitor:
    """Keep the latest spans and the last metrics in memory; nobody is called.

    It needs no receiver, so it serves until another is selected.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"traces", "metrics"})

    def __init__(self, settings: InProcessMonitorSettings | None = None) -> None:
        self._settings = settings or InProcessMonitorSettings()
        self.spans: deque[Span] = deque(maxlen=self._settings.most_spans)
        self.series: tuple[Series, ...] = ()

    async def init(self) -> None:
        """Do nothing: there is nothing to open."""

    async def health(self) -> HealthReport:
        """Be healthy always."""
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Forget everything."""
        self.spans.clear()
        self.series = ()

    async def export_spans(self, spans: Sequence[Span]) -> None:
        """Keep them; the oldest go first."""
        self.spans.extend(spans)

    async def export_metrics(self, series: Sequence[Series]) -> None:
        """Keep these in place of the last ones."""
        self.series = tuple(series)
