"""The commands about manifests from afar."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.output import (
    AsJSON,
    answered,
    foreign_aside,
    operator_for,
    session_of,
    show_answer,
)
from oneiric.errors import InvalidError
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from oneiric.cli.app import Session
    from oneiric.errors import JSONValue
    from oneiric.remote.obtain import Progress
    from oneiric.runtime.answer import Answer


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
    if watch and dry_run:
        raise InvalidError("--watch and --dry-run exclude each other")
    session, asked = session_of(context), {"manifest": manifest, "trust": trust}
    with _progress() as progress:
        if watch:
            _watch(session, asked, refresh_interval or 0.0, progress, as_json=as_json)
            return
        with foreign_aside():
            both: dict[str, JSONValue] = {**asked, "dry_run": dry_run}
            answer = answered(session, "remote-sync", both, warns=False, progress=progress)
    show_answer(answer, as_json=as_json)


def status(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """Show how each source stands: what of it serves, until when, and how the last look went."""
    with foreign_aside():
        answer = answered(session_of(context), "remote-status", {})
    show_answer(answer, as_json=as_json)


def _watch(
    session: Session,
    asked: Mapping[str, str],
    interval: float,
    progress: Progress | None,
    *,
    as_json: bool,
) -> None:
    """Sync until it is to end, whatever each sync gives."""
    operator = operator_for(session, warns=False)

    def told(answer: Answer) -> None:
        with suppress(typer.Exit):
            show_answer(answer, as_json=as_json)
        sys.stdout.flush()

    operator.remote.watch(interval, told=told, progress=progress, **asked)


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
