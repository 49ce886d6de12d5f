"""The commands about the orchestrator as a process: start, stop, process-status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.orchestrate import (
    Checkpoints,
    HealthPath,
    Host,
    Manifest,
    NoHTTP,
    NoRemote,
    Port,
    Profile,
    RefreshInterval,
    Trust,
    check_options,
)
from oneiric.cli.output import AsJSON, composed, session_of, show_answer

if TYPE_CHECKING:
    from oneiric.cli.app import Session

Patience = Annotated[
    float, typer.Option("--timeout", help="Seconds that it may take.", min=0.1, max=86_400)
]


def start(
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
    patience: Patience = 60.0,
    as_json: AsJSON = False,
) -> None:
    """Run an orchestrator in the background, and return when it is ready.

    The options are those of orchestrate. One that ends before it is ready is told with its last
    words; what it says later is in .oneiric_cache/orchestrator.log.
    """
    session = session_of(context)
    session.profile = profile or session.profile
    check_options(manifest, trust, http_port, no_http=no_http)
    words = [
        *_given("--manifest", manifest),
        *_given("--trust", trust),
        *_given("--refresh-interval", refresh_interval),
        *_given("--http-host", http_host),
        *_given("--http-port", http_port),
        *_given("--health-path", health_path),
        *(["--no-http"] if no_http else []),
        *([] if checkpoints else ["--no-workflow-checkpoints"]),
        *(["--no-remote"] if no_remote else []),
    ]
    command = [sys.executable, "-m", "oneiric.cli", *_root(session), "orchestrate", *words]
    processes = session.operator.processes
    show_answer(processes.start(command, health=health_path, patience=patience), as_json=as_json)


def stop(context: typer.Context, *, patience: Patience = 60.0, as_json: AsJSON = False) -> None:
    """End the orchestrator of this folder, and return when it has ended."""
    processes = composed(session_of(context)).processes
    show_answer(processes.stop(patience=patience), as_json=as_json)


def status(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """Tell which process is the orchestrator of this folder; with 6 that none is."""
    show_answer(composed(session_of(context)).processes.status(), as_json=as_json)


def _root(session: Session) -> Iterator[str]:
    yield from _given("--config", session.config)
    yield from _given("--profile", session.profile)
    yield from (["--demo"] if session.demo else [])
    yield from (["--debug"] if session.debug else [])


def _given(option: str, value: object) -> list[str]:
    """Return an option and its value, or nothing where it was not given."""
    return [] if value in (None, "") else [f"{option}={value}"]
