"""What commands about manifests from afar answer, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.runtime.answer import page, table

if TYPE_CHECKING:
    from oneiric.core.registry import SourceChange
    from oneiric.errors import JSONValue
    from oneiric.remote.report import Preview, SourceReport, SyncReport
    from oneiric.remote.status import RemoteStatus


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """What a sync found and did in the process that `applied` names."""

    report: SyncReport
    applied: str = "local"
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """What the command ends with: that of the first refusal, else of the first error."""
        return self.report.exit_code

    @property
    def errors(self) -> tuple[str, ...]:
        """Why sources were not taken, and that it took too long."""
        report = self.report
        errors = [each.error.render() for each in report.sources if each.error is not None]
        if report.duration_ms > report.latency_budget_ms:
            budget = f"{report.duration_ms:.0f} ms, more than {report.latency_budget_ms:.0f} ms"
            errors.append(f"warning: it took {budget}")
        return tuple(errors)

    @property
    def notices(self) -> tuple[str, ...]:
        """What is wrong with the runtime now."""
        return tuple(f"warning: {warning}" for warning in self.warnings)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.remote-sync/1`, each source with where it holds."""
        told = self.report.as_json()
        sources = [
            {**each.as_json(), "applied": self._applied(each) or None}
            for each in self.report.sources
        ]
        return {**told, "applied": self.applied, "sources": sources}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a line for each source that was taken, and what became of what runs."""
        report, succeeded = self.report, self.report.succeeded
        return page(
            "" if report.sources else "no source is configured",
            *(self._line(each) for each in report.sources),
            *(
                f"{name} is there no more: {len(change.removed)} removed"
                for name, change in report.withdrawn.items()
            ),
            *(swap.render() for swap in succeeded.swaps),
            *(
                f"{word}: {ref}"
                for word in ("deferred", "orphaned", "outdated")
                for ref in getattr(succeeded, word)
            ),
        )

    def _applied(self, report: SourceReport) -> str:
        return self.applied if report.applied and self.applied == "live" else report.applied

    def _line(self, report: SourceReport) -> str:
        if report.error is not None or report.serving is None:
            return ""
        signed = "" if report.source.is_signed else " (unsigned)"
        head = f"{report.source.name} {report.serving.version}{signed}"
        took = f"{report.duration_ms:.0f} ms"
        return f"{self._applied(report)}: {head}: {_words(report.change)}; {took}"


@dataclass(frozen=True, slots=True)
class PreviewAnswer:
    """What a sync would do, as the process that `applied` names sees it."""

    previews: tuple[Preview, ...]
    applied: str = "local"

    @property
    def exit_code(self) -> int:
        """What the command ends with: that of the first refusal, else of the first error."""
        codes = [each.error.exit_code for each in self.previews if each.error is not None]
        return 3 if 3 in codes else next(iter(codes), 0)

    @property
    def errors(self) -> tuple[str, ...]:
        """Why sources would not be taken."""
        return tuple(each.error.render() for each in self.previews if each.error is not None)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.remote-preview/1`."""
        errors = [each.error for each in self.previews if each.error is not None]
        return {
            "schema": "oneiric.remote-preview/1",
            "applied": self.applied,
            "dry_run": True,
            "error": errors[0].as_json()["error"] if errors else None,
            "sources": [each.as_json() for each in self.previews],
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return what would change, source by source."""
        lines = [line for each in self.previews for line in _previewed(each, columns)]
        who = "the" if self.applied == "live" else "no"
        return page(
            *lines, f"dry run: nothing was applied or stored; {who} running orchestrator was asked"
        )


@dataclass(frozen=True, slots=True)
class RemoteStatusAnswer:
    """How the sources stand, and whether who wrote that is late or gone.

    `stale` says so in words, and is empty otherwise.
    """

    status: RemoteStatus
    stale: str = ""
    applied: str = "stored"

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.remote-status/1`, who says so, and why it is stale, if so."""
        return {**self.status.as_json(), "applied": self.applied, "stale": self.stale or None}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a row for each source, what is wrong with some, and from when that is."""
        told = self.status
        rows = [
            (
                name,
                each.state,
                each.version or "-",
                "signed" if each.signed else "unsigned",
                each.expires[:10] or "-",
                each.registered,
                len(each.quarantined),
                each.last_success_at[:19] or "-",
                each.consecutive_failures,
                each.uri,
            )
            for name, each in told.sources.items()
        ]
        kept = ("source", "state", "version", "signatures", "expires", "serve", "quarantined")
        headers = (*kept, "last success", "failures", "uri")
        notes = []
        for name, each in told.sources.items():
            if each.last_error:
                notes.append(f"{name}: error[{each.last_error_code}]: {each.last_error}")
            for word in ("deferred", "orphaned", "outdated"):
                notes += [f"{name}: {word} {ref}" for ref in getattr(each, word)]
        if told.written_at:
            took = f"{told.last_duration_ms:.0f} of {told.latency_budget_ms:.0f} ms"
            notes.append(
                f"written {told.written_at} by process {told.pid}; the last sync took {took}"
            )
        empty = "no source is configured"
        return page(
            table(headers, rows, columns=columns, empty=empty),
            *notes,
            f"stale: {self.stale}" if self.stale else "",
        )


def _previewed(preview: Preview, columns: int) -> Iterator[str]:
    if preview.error is not None:
        return
    version = preview.serving.version if preview.serving else 0
    change = preview.change
    yield f"{preview.source.name} {version}: {_words(change)}"
    kinds = (("+", change.added), ("~", change.changed), ("-", change.removed))
    yield from (f"  {sign} {offer}" for sign, offers in kinds for offer in offers)
    for held in preview.serving.quarantined if preview.serving else ():
        yield f"  ! {held.offer or f'entry {held.index}'}: {held.reason}"
    yield from (diff.render(width=columns) for diff in preview.decisions)
    yield from (f"would be swapped: {ref}" for ref in preview.swaps)
    yield from (f"would be swapped when it takes work: {ref}" for ref in preview.deferred)
    yield from (f"would serve on as orphaned: {ref}" for ref in preview.orphaned)
    yield from (f"would fetch {uri}, {size} bytes" for uri, size in preview.fetches.items())


def _words(change: SourceChange) -> str:
    kinds = ("added", "changed", "removed", "unchanged")
    return ", ".join(f"{len(getattr(change, kind))} {kind}" for kind in kinds)
