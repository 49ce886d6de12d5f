"""The commands that tell whether everything is well: health, supervisor-info."""

from __future__ import annotations

from typing import Annotated

import typer

from oneiric.cli.orchestrate import Trust
from oneiric.cli.output import AsJSON, foreign_aside, session_of, show_answer
from oneiric.errors import InvalidError


def health(
    context: typer.Context,
    *,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Ask what is up where one runs; else bring up what is selected."
        ),
    ] = False,
    manifest: Annotated[
        str,
        typer.Option(help="Verify this local manifest, and offer what it brings.", metavar="FILE"),
    ] = "",
    trust: Trust = "",
    as_json: AsJSON = False,
) -> None:
    """Tell how the orchestrator of this folder stands, and whether components are healthy.

    It ends with exit code 1 when anything is not well.
    """
    if trust and not manifest:
        raise InvalidError("--trust belongs to --manifest", hint="--manifest FILE --trust FILE")
    operator = session_of(context).operator
    with foreign_aside():
        answer = operator.health.health(probes=probe, manifest=manifest, trust=trust)
    show_answer(answer, as_json=as_json)


def supervisor(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """Show whether services are supervised, what the profile switches, and who gives secrets."""
    show_answer(session_of(context).operator.health.supervisor(), as_json=as_json)
