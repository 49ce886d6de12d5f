"""The commands about manifests from afar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.output import (
    AsJSON,
    foreign_aside,
    operator_for,
    session_of,
    show,
    show_json,
    show_table,
    show_warnings,
    width,
)
from oneiric.errors import InvalidError
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from oneiric.core.registry import SourceChange
    from oneiric.errors import OneiricError
    from oneiric.remote.obtain import Progress
    from oneiric.remote.report import SyncReport
    from oneiric.runtime.remote_answers import PreviewAnswer


def sync(
    context: typer.Context,
    *,
    manifest: Annotated[
        str, typer.Option(help="Look at this one only: its address or path.", metavar="URI")
    ] = "",
    trust: Annotated[
        str, typer.Option(help="The trust root of one that is not configured.", metavar="FILE")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Go on until SIGTERM or SIGINT.")] = False,
    refresh_interval: Annotated[
        float | None,
        typer.Option(
            help="Seconds between two looks; remote.refresh_interval by default.",
            min=0.05,
            max=86_400,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Look at every source of manifests, verify what it publishes, and apply it.

    It ends with the exit code of what went wrong with a source, refusals first.
    """
    if trust and not manifest:
        raise InvalidError("--trust belongs to --manifest", hint="--manifest URI --trust FILE")
    if watch and dry_run:
        raise InvalidError("--watch and --dry-run exclude each other")
    operator = operator_for(session_of(context), warns=False)
    remote = operator.remote
    with foreign_aside():
        source = remote.source(manifest, trust=trust) if manifest else ""
    if dry_run:
        with foreign_aside():
            previews = remote.preview(source)
        _show_previews(previews, as_json=as_json)
        raise typer.Exit(previews.exit_code)
    with _progress() as progress:
        if watch:
            told = _told(as_json=as_json)
            remote.watch(refresh_interval or 0.0, told=told, source=source, progress=progress)
            return
        with foreign_aside():
            report = remote.sync(source, told=bool, progress=progress)  # told below
    _told(as_json=as_json)(report)
    show_warnings(operator)
    raise typer.Exit(report.exit_code)


def status(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """Show how each source stands: what of it serves, until when, and how the last look went."""
    operator = session_of(context).operator
    with foreign_aside():
        answer = operator.remote.status()
    if as_json:
        show_json(answer.as_json())
        return
    told = answer.status
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
    headers = ("source", "state", "version", "signatures", "expires", "serve", "quarantined")
    show_table((*headers, "last success", "failures", "uri"), rows, empty="no source is configured")
    for name, each in told.sources.items():
        if each.last_error:
            show(f"{name}: error[{each.last_error_code}]: {each.last_error}")
        for word in ("deferred", "orphaned", "outdated"):
            show("\n".join(f"{name}: {word} {ref}" for ref in getattr(each, word)))
    if told.written_at:
        took = f"{told.last_duration_ms:.0f} of {told.latency_budget_ms:.0f} ms"
        show(f"written {told.written_at} by process {told.pid}; the last sync took {took}")
    if answer.stale:
        show(f"stale: {answer.stale}")


def _told(*, as_json: bool) -> Callable[[SyncReport], None]:
    return _show_json_report if as_json else _show_report


def _show_json_report(report: SyncReport) -> None:
    show_json(report.as_json())
    sys.stdout.flush()


def _show_report(report: SyncReport) -> None:
    if not report.sources:
        show("no source is configured")
    for each in report.sources:
        if each.error is not None:
            _show_error(each.error)
        elif each.serving is not None:
            signed = "" if each.source.is_signed else " (unsigned)"
            head = f"{each.source.name} {each.serving.version}{signed}"
            show(f"{each.applied}: {head}: {_words(each.change)}; {each.duration_ms:.0f} ms")
    for name, change in report.withdrawn.items():
        show(f"{name} is there no more: {len(change.removed)} removed")
    show("\n".join(swap.render() for swap in report.succeeded.swaps))
    for word in ("deferred", "orphaned", "outdated"):
        show("\n".join(f"{word}: {ref}" for ref in getattr(report.succeeded, word)))
    if report.duration_ms > report.latency_budget_ms:
        budget = f"{report.duration_ms:.0f} ms, more than {report.latency_budget_ms:.0f} ms"
        sys.stderr.write(f"warning: it took {budget}\n")
    sys.stdout.flush()


def _show_previews(answer: PreviewAnswer, *, as_json: bool) -> None:
    if as_json:
        show_json(answer.as_json())
        return
    for each in answer.previews:
        if each.error is not None:
            _show_error(each.error)
            continue
        version = each.serving.version if each.serving else 0
        show(f"{each.source.name} {version}: {_words(each.change)}")
        for sign, offers in zip(
            "+~-", (each.change.added, each.change.changed, each.change.removed), strict=True
        ):
            show("\n".join(f"  {sign} {offer}" for offer in offers))
        for held in each.serving.quarantined if each.serving else ():
            show(f"  ! {held.offer or f'entry {held.index}'}: {held.reason}")
        show("\n".join(diff.render(width=width()) for diff in each.decisions))
        show("\n".join(f"would be swapped: {ref}" for ref in each.swaps))
        show("\n".join(f"would be swapped when it takes work: {ref}" for ref in each.deferred))
        show("\n".join(f"would serve on as orphaned: {ref}" for ref in each.orphaned))
        show("\n".join(f"would fetch {uri}, {size} bytes" for uri, size in each.fetches.items()))
    show("dry run: nothing was applied or stored; no running orchestrator was asked")


def _words(change: SourceChange) -> str:
    kinds = ("added", "changed", "removed", "unchanged")
    return ", ".join(f"{len(getattr(change, kind))} {kind}" for kind in kinds)


def _show_error(error: OneiricError) -> None:
    sys.stdout.flush()
    sys.stderr.write(printable(error.render()) + "\n")


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Give what draws a bar for each download, where a person watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Bars(
        *columns, TransferSpeedColumn(), console=Console(stderr=True), transient=True
    ) as bars:
        tasks = dict[str, object]()

        def draw(what: str, done: int, total: int | None) -> None:
            name = printable(what)
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)  # type: ignore[arg-type]

        yield draw
