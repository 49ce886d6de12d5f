"""Groups of commands within the group of validation, by a table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from oneiric.cli import baseline, proofs

GROUPS: Mapping[str, typer.Typer] = MappingProxyType(
    {"proofs": proofs.app, "baseline": baseline.app}
)
"""The groups, by name."""

FIRST = ("init", "run", "check-drift", "validate", "status")
"""What is listed before the groups."""


class Groups(TyperGroup):
    """List the commands of a group, and the groups within it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, the groups among them."""
        others = [name for name in super().list_commands(ctx) if name not in FIRST]
        return [*FIRST, *GROUPS, *others]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command or a group."""
        if cmd_name not in GROUPS:
            return super().get_command(ctx, cmd_name)
        found = get_command(GROUPS[cmd_name])
        found.name = cmd_name
        return found
