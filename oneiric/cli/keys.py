"""What commands that need keys share: how these are named, and where a passphrase comes from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from oneiric.cli.output import composed, session_of
from oneiric.errors import InvalidError
from oneiric.files import read_bounded
from oneiric.runtime.keyring import LONGEST, Keyring, read_passphrase

if TYPE_CHECKING:
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

Keys: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--key", help="A key to sign with: its file, or secret:NAME. Again for more.", metavar="KEY"
    ),
]
PassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File with the passphrase of sealed keys."),
]
PassphraseStdin: TypeAlias = Annotated[
    bool, typer.Option("--passphrase-stdin", help="Read that passphrase from stdin.")
]
Lasts: TypeAlias = Annotated[
    str, typer.Option("--expires-in", help="How long from now it holds, as in 30d.", metavar="TIME")
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]


def keyring(context: typer.Context, file: Path | None, *, stdin: bool) -> Keyring:
    """Return the keys of this folder, opened by the passphrase that was given, if any."""

    def runtime() -> RuntimeOrchestrator:
        return composed(session_of(context)).orchestrator

    return Keyring(Path(), runtime=runtime, passphrase=_passphrase(file, stdin=stdin))


def _passphrase(file: Path | None, *, stdin: bool) -> bytes | None:
    if file is not None and stdin:
        raise InvalidError("a passphrase comes from a file or from stdin, not from both")
    if file is not None:
        return read_passphrase(read_bounded(file, limit=LONGEST))
    return read_passphrase(sys.stdin.buffer.read(LONGEST + 2)) if stdin else None
