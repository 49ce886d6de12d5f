"""Print answers: JSON for machines, tables and text for people."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from oneiric.runtime.answer import View
from oneiric.runtime.operator import Operator
from oneiric.runtime.settings import LoggingSettings
from oneiric.text.layout import as_table
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from oneiric.cli.app import Session
    from oneiric.core.plugin import Plugin
    from oneiric.errors import JSONValue
    from oneiric.runtime.answer import Answer

UNBOUNDED = 1_000
_STDOUT, _STDERR = 1, 2
_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")

AsJSON = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@contextmanager
def foreign_aside() -> Iterator[TextIO]:
    """Send what foreign code prints to stderr, whichever way it prints; stdout is for answers.

    What is written to the stream that this gives still goes to stdout.
    """
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    with suppress(OSError):  # stderr may be closed
        os.dup2(_STDERR, _STDOUT)
    try:
        with redirect_stdout(sys.stderr), os.fdopen(os.dup(kept), "w", encoding="utf-8") as answers:
            yield answers
    finally:
        os.dup2(kept, _STDOUT)
        os.close(kept)


def composed(session: Session) -> Operator:
    """Return the operator that the root options describe."""
    plugins: tuple[Plugin, ...] = ()
    if session.demo:
        from oneiric.demo.plugin import PLUGIN  # known to commands that ask for it

        plugins = (PLUGIN,)
    operator = Operator(
        path=session.config,
        profile=session.profile,
        plugins=plugins,
        view=lambda: View(width(), colour()),
    )
    session.operators.append(operator)
    return operator


def answered(
    session: Session,
    verb: str,
    asked: Mapping[str, JSONValue],
    *,
    warns: bool = True,
    **here: object,
) -> Answer:
    """Return what the orchestrator that runs here answers, or else this process.

    *here* is what only this process can do with.
    """
    operator = composed(session)
    if operator.live is None:
        prepare(session, operator, warns=warns)
    return operator.do(verb, asked, **here)


def operator_for(
    session: Session, *, warns: bool = True, works: bool = False, serves: bool = False
) -> Operator:
    """Return the operator that the root options describe, with logs and warnings on stderr.

    A command that first changes what would be warned of may do so itself later. One that
    *works* for others logs even where all is as by default; one that *serves* has no answer to
    print, and logs to stdout where its configuration says so.
    """
    operator = composed(session)
    prepare(session, operator, warns=warns, works=works, serves=serves)
    return operator


def prepare(
    session: Session,
    operator: Operator,
    *,
    warns: bool,
    works: bool = False,
    serves: bool = False,
) -> None:
    """Compose what answers in this process, and show logs and warnings of it on stderr."""
    with foreign_aside():
        settings = operator.orchestrator.config.section("logging")
    if works or session.debug or settings != LoggingSettings():
        begin_logging(session, operator, serves=serves)
    if warns:
        tell(f"warning: {warning}" for warning in operator.orchestrator.warnings())


def tell(lines: Iterable[str]) -> None:
    """Print lines on stderr."""
    for line in lines:
        sys.stderr.write(printable(f"{line}\n"))
    sys.stderr.flush()


def show_answer(answer: Answer, *, as_json: bool, coloured: bool = False) -> None:
    """Print an answer, and end with its exit code if that is not 0.

    Only a *coloured* one looks whether the terminal shows colours, which takes its time.
    """
    if as_json:
        show_json(answer.as_json())
    else:
        show(answer.render(columns=width(), colour=coloured and colour()), styled=True)
        sys.stdout.flush()
        tell(getattr(answer, "errors", ()))
    tell(getattr(answer, "notices", ()))
    if answer.exit_code:
        raise typer.Exit(answer.exit_code)


def begin_logging(session: Session, operator: Operator, *, serves: bool = False) -> None:
    """Write logs as configured; a short command does without what is as by default."""
    from oneiric.runtime.log_sinks import Places, log_to  # costs a third of a short command

    runtime = operator.orchestrator
    settings = runtime.config.section("logging")
    assert isinstance(settings, LoggingSettings)
    places = Places(runtime.config.folder, sys.stderr, sys.stdout if serves else None)

    def dropped(sink: str, count: int) -> None:
        runtime.metrics.count("oneiric_log_records_dropped_total", count, sink=sink)

    log_to(settings, places, debug=session.debug, dropped=dropped)


def width() -> int:
    """Return the columns of the terminal; what is piped is not cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED


def show_json(document: JSONValue) -> None:
    """Print one JSON document."""
    sys.stdout.write(printable(json.dumps(document, indent=2, ensure_ascii=False)) + "\n")


def show(text: str, *, styled: bool = False) -> None:
    """Print text, unless there is none; of what steers a terminal only colours, if *styled*."""
    parts = _STYLE.split(text) if styled else [text]
    if text:
        shown = (part if place % 2 else printable(part) for place, part in enumerate(parts))
        sys.stdout.write("".join(shown) + "\n")


def show_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows in columns that fit the terminal; *empty* where there are none."""
    shown = list(rows)
    show(as_table(headers, shown, width=width()) if shown else empty, styled=True)


def session_of(context: typer.Context) -> Session:
    """Return what the root options said."""
    session: Any = context.obj
    return session  # type: ignore[no-any-return]


def colour() -> bool:
    """Tell whether the terminal shows colours and its owner wants them."""
    if not sys.stdout.isatty():
        return False
    from rich.console import Console  # knows how owners say so

    return not Console(file=sys.stdout).no_color
