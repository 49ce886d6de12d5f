"""Who says so: what commands store beside what they were told."""

from __future__ import annotations

import os
import pwd
from typing import Annotated

import typer

Actor = Annotated[str, typer.Option(help="Who says so; the name of the user unless given.")]


def user() -> str:
    """Return the name of who runs the command."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "cli"
