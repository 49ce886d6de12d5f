"""Who answers commands about validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.cli.output import session_of
from oneiric.validation.desk import ValidationDesk

if TYPE_CHECKING:
    import typer


def desk_of(context: typer.Context) -> ValidationDesk:
    """Return the desk of validation that the root options describe."""
    session = session_of(context)
    return ValidationDesk(session.config, session.profile)
