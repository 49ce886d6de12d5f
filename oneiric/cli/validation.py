"""Commands of prod-first validation: try a task, check one endpoint, look for drift."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneiric.cli.baseline import Shown
from oneiric.cli.desks import desk_of
from oneiric.cli.knowledge import app
from oneiric.cli.output import AsJSON, foreign_aside, show_answer, show_json, tell
from oneiric.errors import InvalidError
from oneiric.runs.event import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from oneiric.errors import JSONValue
    from oneiric.runs.event import RunEvent

Title = Annotated[
    str, typer.Argument(help="What shall be done; its id is made of it unless given.")
]
Description = Annotated[str, typer.Option("--description", "-d", help="The same, at length.")]
Tests = Annotated[
    list[str] | None,
    typer.Option("--test", "-t", help="A command that must pass first.", metavar="COMMAND"),
]
Endpoints = Annotated[
    list[str] | None,
    typer.Option("--endpoint", "-e", help="What production must answer with 200.", metavar="URL"),
]
Pages = Annotated[
    list[str] | None,
    typer.Option("--ui", help="A page, or a file of Playwright tests.", metavar="URL|FILE"),
]
RequiredProofs = Annotated[
    int | None,
    typer.Option("--required-proofs", "-r", help="So many different checks, proved.", min=1),
]
WithoutTests = Annotated[str, typer.Option(help="Why there are no local tests.", metavar="REASON")]
NoDrift = Annotated[bool, typer.Option("--no-drift", help="Do not look for drift.")]
TaskId = Annotated[str, typer.Option("--id", help="The id of the task.")]
TaskFile = Annotated[
    Path | None, typer.Option("--task", help="The whole task as a YAML, JSON or TOML file.")
]
Resume = Annotated[str, typer.Option(help="Go on with this run.", metavar="RUN")]
Reports = Annotated[
    list[str] | None,
    typer.Option(help="Write a report: html, markdown, junit or json.", metavar="FORMAT=PATH"),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only how it ended.")]


@app.callback()
def group() -> None:
    """Validate tasks in production: checks give proofs, gates judge them, a ledger keeps them."""


@app.command("init")
def init(
    context: typer.Context,
    *,
    project: Annotated[str, typer.Option("--project", "-p", help="The project of Snipara.")] = "",
    prod_url: Annotated[
        str, typer.Option("--prod-url", "-u", help="The address of production.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Write `.snipara-orchestrator.json`, mode 0600, in the working directory.

    A key is stored in no file: it is read from the variable SNIPARA_API_KEY.
    """
    answer = desk_of(context).init(Path.cwd(), prod_url=prod_url, project=project, force=force)
    show_answer(answer, as_json=as_json)


@app.command("run")
def run(
    context: typer.Context,
    title: Title = "",
    *,
    description: Description = "",
    test: Tests = None,
    endpoint: Endpoints = None,
    ui: Pages = None,
    required_proofs: RequiredProofs = None,
    without_tests: WithoutTests = "",
    no_drift: NoDrift = False,
    task_id: TaskId = "",
    task_file: TaskFile = None,
    resume: Resume = "",
    report: Reports = None,
    quiet: Quiet = False,
    as_json: AsJSON = False,
) -> None:
    """Try a task: local tests, drift, production; it is done when production has proved it.

    It ends with 1 if something failed or has drifted, 3 if a gate had nothing to judge or what is
    asked may not be, and 4 if something could not be checked.
    """
    from oneiric.cli.reports import reports_of

    reports = reports_of(report or [])
    asked: dict[str, Any] = {
        "title": title,
        "description": description,
        "tests": test or [],
        "endpoints": endpoint or [],
        "ui": ui or [],
        "required_proofs": required_proofs,
        "without_tests": without_tests,
        "drift": not no_drift,
        "id": task_id,
    }
    desk = desk_of(context)
    is_watched = sys.stderr.isatty() and not quiet and not as_json
    watched = _Watched(tells=is_watched and desk.config.verbose)
    with foreign_aside(), watched:
        is_told = bool(task_file or no_drift or any({**asked, "drift": None}.values()))
        task = desk.task(task_file, asked) if is_told or not resume else None
        if resume or task is None:
            answer = desk.resume(resume, of=task, tell=watched, notice=lambda line: tell([line]))
        else:
            answer = desk.run(task, tell=watched)
        for form, path in reports:
            desk.write_report(answer, form, path)
    show_answer(answer.short if quiet else answer, as_json=as_json, coloured=True)


@app.command("check-drift")
def check_drift(
    context: typer.Context,
    *,
    route: Annotated[
        list[str] | None,
        typer.Option("--route", "-r", help="A route, as /users or POST /users."),
    ] = None,
    schema: Annotated[
        bool | None,
        typer.Option("--schema/--no-schema", help="Compare contract and database; else if any."),
    ] = None,
    health: Annotated[
        bool | None, typer.Option("--health/--no-health", help="Ask whether it is well.")
    ] = None,
    version: Annotated[
        bool | None, typer.Option("--version/--no-version", help="Compare the commit.")
    ] = None,
    config: Annotated[
        bool | None, typer.Option("--config/--no-config", help="Compare with the baseline.")
    ] = None,
    shows: Shown = None,
    openapi: Annotated[
        str, typer.Option(help="The OpenAPI document of the repository.", metavar="FILE")
    ] = "",
    served: Annotated[
        str, typer.Option(help="Where production serves its own.", metavar="URL")
    ] = "",
    application: Annotated[
        str, typer.Option("--app", help="Whose routes to take.", metavar="MODULE:ATTR")
    ] = "",
    baseline: Annotated[str, typer.Option(help="Which baseline to compare with.")] = "",
    ignore: Annotated[
        str, typer.Option(help="Differences that are accepted.", metavar="FILE")
    ] = "",
    fail_on: Annotated[str, typer.Option(help="info, warning or breaking.")] = "",
    prod_url: Annotated[str, typer.Option(help="The address of production.")] = "",
    as_json: AsJSON = False,
) -> None:
    """Compare production with the repository: routes, contract, database, version, configuration.

    It ends with 1 for drift, and with 4 when something could not be checked, or nothing was.
    """
    asked: dict[str, JSONValue] = {
        "routes": route or None,
        "schema": schema,
        "health": health,
        "version": version,
        "config": config,
        "shown": shows or None,
        "openapi": openapi or None,
        "served": served or None,
        "app": application or None,
        "baseline": baseline or None,
        "ignore": ignore or None,
        "fail_on": fail_on or None,
        "prod_url": prod_url or None,
    }
    desk = desk_of(context)
    with foreign_aside():
        answer = desk.drift({name: value for name, value in asked.items() if value is not None})
    show_answer(answer, as_json=as_json, coloured=True)


@app.command("validate")
def validate(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="What to ask.", metavar="URL")],
    *,
    method: Annotated[str, typer.Option("--method", "-m", help="By which method.")] = "GET",
    expected: Annotated[
        str, typer.Option("--expected", "-e", help="A status, 2xx, or several: 200,204.")
    ] = "200",
    user: Annotated[str, typer.Option("--user", "-u", help="As whom it is tested.")] = "",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="Sent too.", metavar="NAME: VALUE")
    ] = None,
    body: Annotated[str, typer.Option(help="Sent as JSON.", metavar="JSON")] = "",
    assertion: Annotated[
        list[str] | None,
        typer.Option("--assert", "-a", help="What must be so, as in 'json $.status == \"ok\"'."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that it may take in all.")] = 30.0,
    retries: Annotated[int, typer.Option(help="Further attempts.", min=0, max=19)] = 0,
    samples: Annotated[int, typer.Option(help="How often to measure.", min=1, max=10_000)] = 1,
    as_json: AsJSON = False,
) -> None:
    """Check one endpoint, and print the proof; nothing is stored."""
    asked: dict[str, Any] = {
        "url": url,
        "method": method,
        "expected_status": _statuses(expected),
        "headers": _headers(header or []),
        "body": body,
        "asserts": assertion or [],
        "timeout": timeout,
        "retries": retries,
        "samples": samples,
    }
    desk = desk_of(context)
    with foreign_aside():
        answer = desk.check(asked, user=user)
    show_answer(answer, as_json=as_json, coloured=True)


@app.command("status")
def status(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """Show what is validated here, who checks, and how the latest tasks stand; no secrets."""
    show_answer(desk_of(context).status(), as_json=as_json, coloured=True)


@app.command("schema")
def schema(*, as_json: AsJSON = False) -> None:
    """Print the JSON Schema of task files, by which editors check and complete them.

    It is JSON without the option too.
    """
    from oneiric.validation.schema import task_schema

    show_json(task_schema())


class _Watched:
    """Tells how a run comes on, where somebody looks, and which was left open by Ctrl-C."""

    def __init__(self, *, tells: bool) -> None:
        self._run_id = ""
        self._progress: Callable[[RunEvent], object] | None = None
        if tells:
            from oneiric.cli.recipe_run import Progress

            self._progress = Progress(sys.stderr)

    def __call__(self, event: RunEvent) -> None:
        self._run_id = "" if event.kind is EventKind.RUN_ENDED else event.run_id
        if self._progress is not None:
            self._progress(event)

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is KeyboardInterrupt and self._run_id:
            tell([f"left open; go on with: oneiric validation run --resume {self._run_id}"])


def _statuses(text: str) -> list[JSONValue]:
    return [int(each) if each.isdigit() else each for each in text.replace(" ", "").split(",")]


def _headers(texts: list[str]) -> dict[str, JSONValue]:
    pairs = [text.partition(":") for text in texts]
    if any(not found or not name.strip() for name, found, _ in pairs):
        raise InvalidError("--header takes NAME: VALUE")
    return {name.strip(): value.strip() for name, _, value in pairs}
