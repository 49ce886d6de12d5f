"""The command that runs a recipe: one line on stdout, progress for who watches on stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

import typer

from oneiric.cli.output import AsJSON, foreign_aside, session_of, show_answer, tell
from oneiric.cli.reports import place, reports_of
from oneiric.errors import InvalidError, OneiricError
from oneiric.recipes.context_files import read_context, write_context
from oneiric.recipes.desk import RecipeDesk
from oneiric.recipes.inputs import params as read_params
from oneiric.recipes.options import RunOptions
from oneiric.recipes.reporting import write_report
from oneiric.recipes.stdout import line_of
from oneiric.recipes.verdict import refusal
from oneiric.reports.happening import event_document, happening
from oneiric.runs.event import EventKind
from oneiric.runtime.stop import StopSignals
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from oneiric.recipes.answers import RunAnswer
    from oneiric.recipes.desk import Hosts
    from oneiric.runs.event import RunEvent

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Run recipes.")

PIPED_WIDTH = 100
SIGNALED = 128

File = Annotated[Path, typer.Argument(help="The recipe: a YAML, JSON or TOML file.")]


class Output(StrEnum):
    """What a run prints on stdout."""

    LINE = "line"
    NDJSON = "ndjson"
    HUMAN = "human"


Named = Annotated[Path | None, typer.Argument(help="The recipe: a YAML, JSON or TOML file.")]
Optional = Annotated[Path | None, typer.Option("--recipe", help="The same, as an option.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", help="One input, as NAME=VALUE.", metavar="NAME=VALUE"),
]
Only = Annotated[list[str] | None, typer.Option(help="Do only steps of such names; a glob.")]
Skip = Annotated[list[str] | None, typer.Option(help="Leave out steps of such names; a glob.")]
WithDeps = Annotated[
    bool, typer.Option("--with-deps", help="Do what those of --only depend on too.")
]
Resume = Annotated[str, typer.Option(help="Go on with this run.", metavar="RUN")]
ResumeFrom = Annotated[
    str, typer.Option(help="Begin at this step, with the values of the last run.", metavar="STEP")
]
OnlyFailed = Annotated[
    str, typer.Option(help="Do what did not succeed in this run.", metavar="RUN")
]
Jobs = Annotated[int, typer.Option(help="Do at most so many at once; 0 for no limit.", min=0)]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Let a failure stop only what depends on it.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Use and keep no earlier results.")]
Refresh = Annotated[
    list[str] | None, typer.Option(help="Do such steps though a result is kept; a glob.")
]
Checkpoints = Annotated[
    bool, typer.Option("--no-checkpoints", help="Keep the run in memory; nothing is stored.")
]
Force = Annotated[bool, typer.Option("--force", help="Go on though the recipe has changed.")]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="End with 4 where a step waits for somebody.")
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow-module", help="Allow modules of such names too; a glob."),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Say on stderr of each step why it was done or not.")
]
Plan = Annotated[bool, typer.Option("--plan", help="Only show what would be done.")]
Reports = Annotated[
    list[str] | None,
    typer.Option(
        "--report", help="Write a report: html, markdown, junit or json.", metavar="FORMAT=PATH"
    ),
]
ContextIn = Annotated[
    Path | None, typer.Option("--context-in", help="Begin with the values of this JSON file.")
]
ContextOut = Annotated[
    Path | None, typer.Option("--context-out", help="Write the values at the end to this file.")
]
Watches = Annotated[
    bool, typer.Option("--watch", help="Run it again whenever a file that it is made of changes.")
]
Form = Annotated[Output, typer.Option("--output", help="What is printed on stdout.")]


@app.command("run")
def run(
    context: typer.Context,
    recipe: Named = None,
    *,
    option: Optional = None,
    param: Params = None,
    only: Only = None,
    skip: Skip = None,
    with_deps: WithDeps = False,
    resume: Resume = "",
    resume_from: ResumeFrom = "",
    only_failed: OnlyFailed = "",
    jobs: Jobs = 0,
    keep_going: KeepGoing = False,
    no_cache: NoCache = False,
    refresh: Refresh = None,
    no_checkpoints: Checkpoints = False,
    force: Force = False,
    no_wait: NoWait = False,
    allow_module: Allow = None,
    explain: Explain = False,
    plan: Plan = False,
    report: Reports = None,
    context_in: ContextIn = None,
    context_out: ContextOut = None,
    watch: Watches = False,
    output: Form = Output.LINE,
    as_json: AsJSON = False,
) -> None:
    """Run a recipe, and print one line on stdout: how it ended, and which keys it wrote.

    It ends with 1 if a step failed, 2 if the recipe is wrong, 3 if an approval was denied, 4 if
    one is waited for, 5 if it took too long. At Ctrl-C what runs is stopped and the final steps
    are done; at the second those are stopped too. With --watch it is run again and again, until
    Ctrl-C ends that with 0.
    """
    path, reports = _one(recipe, option), reports_of(report or [])
    left = place(context_out) if context_out else None
    options = RunOptions(
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        with_deps=with_deps,
        resume=resume,
        resume_from=resume_from,
        only_failed=only_failed,
        jobs=jobs,
        keep_going=keep_going,
        cache=not no_cache,
        refresh=tuple(refresh or ()),
        force=force,
        no_wait=no_wait,
        allow_modules=tuple(allow_module or ()),
        context_in=read_context(context_in) if context_in else {},
    )
    desk = RecipeDesk(session_of(context).operator.host)
    if plan:
        with foreign_aside():
            planned = desk.plan(path, options)
        show_answer(planned, as_json=as_json)
        return

    def once() -> int:
        with _answering(output, as_json=as_json) as answering:
            answer = _ran(desk, path, param or [], options, answering, kept=not no_checkpoints)
            answering.show(answer, explains=explain)
        return _left(answer, left, reports)

    hosts = session_of(context).operator.host
    raise typer.Exit(_again(once, hosts, path, param or [], options) if watch else once())


def _left(answer: RunAnswer, left: Path | None, reports: Sequence[tuple[str, Path]]) -> int:
    """Write what is to be left of a run, and return its exit code."""
    if left is not None:
        write_context(left, answer.report.run.context.values)
    for form, to in reports:
        write_report(answer.report, form, to)
    return answer.exit_code


def _again(
    once: Callable[[], int], hosts: Hosts, path: Path, params: Sequence[str], options: RunOptions
) -> int:
    """Run a recipe, and begin this command anew when what it is made of has changed.

    A new process has the new code, and nothing of the old one. Return the exit code when it is
    interrupted: 0 where nothing was under way.
    """
    from oneiric.recipes.watching import watched  # what watches is slow to import

    with foreign_aside():
        watch = watched(hosts, path, read_params(params), options)
    try:
        code = once()
    except OneiricError as error:
        tell(error.render().splitlines())
        code = error.exit_code
    if code > SIGNALED:
        return code
    count = len(watch.paths)
    try:
        tell([f"waiting for a change of {count} file{'' if count == 1 else 's'}; Ctrl-C ends it"])
        watch.wait()
        _begin_anew()
    except KeyboardInterrupt:
        return 0


def _begin_anew() -> NoReturn:
    """Put this very command, begun anew, in the place of this process."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  no shell is meant


def _ran(
    desk: RecipeDesk,
    path: Path,
    params: Sequence[str],
    options: RunOptions,
    answering: _Answering,
    *,
    kept: bool,
) -> RunAnswer:
    """Run a recipe, heeding SIGINT and SIGTERM as wishes that it be stopped."""
    given = read_params(params)
    with StopSignals() as stop:
        try:
            return desk.run(path, given, options, checkpoints=kept, tell=answering.tell, stop=stop)
        except KeyboardInterrupt:
            raise typer.Exit(SIGNALED + stop.number) from None


class _Answering:
    """Prints what comes of a run, and meanwhile how it comes on, each to its stream."""

    def __init__(self, stdout: TextIO, output: Output, *, as_json: bool) -> None:
        self.stdout = stdout
        self.output = output
        self.as_json = as_json
        self.tell: Callable[[RunEvent], object] | None = None
        if not as_json and output is Output.NDJSON:
            self.tell = lambda event: self._write(json.dumps(event_document(event)))
        elif not as_json and sys.stderr.isatty():
            self.tell = Progress(sys.stderr)

    def show(self, answer: RunAnswer, *, explains: bool) -> None:
        """Print how the run ended, and with *explains* why each step stands as it does."""
        tell(answer.notices)
        if self.as_json:
            self._write(json.dumps(answer.as_json(), indent=2, ensure_ascii=False))
        elif self.output is Output.HUMAN:
            self._write(answer.render(columns=_columns(self.stdout), colour=False))
        else:
            self._write(answer.line)
        tell(answer.explanation if explains else ())

    def refuse(self, error: OneiricError) -> None:
        """Print that no run came of it, where one line is expected."""
        if not self.as_json and self.output is not Output.HUMAN:
            self._write(line_of(refusal(error)))

    def _write(self, text: str) -> None:
        self.stdout.write(f"{printable(text)}\n")
        self.stdout.flush()


@contextmanager
def _answering(output: Output, *, as_json: bool) -> Iterator[_Answering]:
    with foreign_aside() as stdout:
        answering = _Answering(stdout, output, as_json=as_json)
        try:
            yield answering
        except OneiricError as error:
            answering.refuse(error)
            raise


class Progress:
    """Tells a watching person of each step as it begins and ends."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.began = ""

    def __call__(self, event: RunEvent) -> None:
        self.began = self.began or event.at
        if event.step and event.kind is not EventKind.CONTEXT_SET:
            line = happening(event, began_at=self.began)
            self.stream.write(f"{printable(line)}\n")
            self.stream.flush()


def _columns(stream: TextIO) -> int:
    return shutil.get_terminal_size().columns if stream.isatty() else PIPED_WIDTH


def _one(recipe: Path | None, option: Path | None) -> Path:
    if recipe is not None and option is not None and recipe != option:
        raise InvalidError(f"two recipes were given, {recipe} and {option}")
    found = recipe or option
    if found is None:
        raise InvalidError("name a recipe", hint="oneiric recipe list shows what there is")
    return found
