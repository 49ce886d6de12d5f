"""The command that runs everything until it is told to stop."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from oneiric.cli.complete import profiles
from oneiric.errors import InvalidError
from oneiric.runtime.stop import ServeSignals

Manifest = Annotated[
    str, typer.Option(help="Apply this one too: its address or path.", metavar="URI")
]
Trust = Annotated[
    str, typer.Option(help="The trust root of one that is not configured.", metavar="FILE")
]
RefreshInterval = Annotated[
    float | None,
    typer.Option(
        help="Seconds between two looks at manifests; remote.refresh_interval by default.",
        min=0.05,
        max=86_400,
    ),
]
Host = Annotated[str, typer.Option(help="The address to serve HTTP at.", metavar="HOST")]
Port = Annotated[
    int | None, typer.Option(help="The port to serve HTTP at; 0 for a free one.", min=0, max=65_535)
]
NoHTTP = Annotated[bool, typer.Option("--no-http", help="Serve no HTTP.")]
Checkpoints = Annotated[
    bool,
    typer.Option(
        "--workflow-checkpoints/--no-workflow-checkpoints", help="Store what each step did."
    ),
]
HealthPath = Annotated[Path | None, typer.Option(help="Where to write the health.", metavar="FILE")]
NoRemote = Annotated[
    bool, typer.Option("--no-remote", help="Look at no source; what was kept still serves.")
]
Profile = Annotated[
    str | None,
    typer.Option(help="As the option of that name before the command.", autocompletion=profiles),
]


def orchestrate(
    context: typer.Context,
    *,
    manifest: Manifest = "",
    trust: Trust = "",
    refresh_interval: RefreshInterval = None,
    http_host: Host = "",
    http_port: Port = None,
    no_http: NoHTTP = False,
    checkpoints: Checkpoints = True,
    health_path: HealthPath = None,
    no_remote: NoRemote = False,
    profile: Profile = None,
    check: Annotated[
        bool, typer.Option("--check", help="Start, be ready, stop, and tell what took how long.")
    ] = False,
    print_dag: Annotated[
        bool, typer.Option("--print-dag", help="Show workflows instead; nothing is started.")
    ] = False,
    workflow: Annotated[str, typer.Option(help="Show this one only.", metavar="KEY")] = "",
    events: Annotated[
        bool, typer.Option("--events", help="Show who handles events instead.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", "--inspect-json", help="Print one JSON document.")
    ] = False,
) -> None:
    """Run everything until SIGTERM or SIGINT: work, schedules, watchers, sources of manifests.

    A second signal hurries; at SIGHUP the configuration is read anew and sources are looked at.
    There is one orchestrator a folder.
    """
    signals, works = ServeSignals(), not (print_dag or events)
    with signals if works else nullcontext():  # a look ends as any command does
        from oneiric.cli.output import operator_for, session_of, show_answer, tell
        from oneiric.runtime.serving import ServeOptions  # takes its time

        session = session_of(context)
        session.profile = profile or session.profile
        check_options(manifest, trust, http_port, no_http=no_http)
        if workflow and not print_dag:
            raise InvalidError("--workflow belongs to --print-dag")
        operator = operator_for(session, works=works, serves=works and not check)
        if not works:
            found = operator.serving.inspect(workflow, manifest=manifest, trust=trust)
            answer = replace(found, shows_workflows=print_dag, shows_events=events)
            show_answer(answer, as_json=as_json)
            return
        options = ServeOptions(
            manifest=manifest,
            trust=trust,
            syncs=not no_remote,
            refresh_interval=refresh_interval or 0.0,
            http_host=http_host,
            http_port=http_port,
            http=not no_http,
            health_path=health_path,
            checkpoints=checkpoints,
            works=not check,
        )
        if check:
            show_answer(operator.serving.check(options, stop=signals), as_json=as_json)
            return

        operator.serving.serve(
            options, stop=signals, told=lambda text: tell([f"orchestrator {text}"])
        )


def check_options(manifest: str, trust: str, port: int | None, *, no_http: bool) -> None:
    """Pass if the options fit together.

    Raises:
        InvalidError: they do not.
    """
    if trust and not manifest:
        raise InvalidError("--trust belongs to --manifest", hint="--manifest URI --trust FILE")
    if no_http and port is not None:
        raise InvalidError("--http-port and --no-http exclude each other")
