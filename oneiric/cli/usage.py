"""What is wrong with how a command was written, in the words of every other error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import typer

from oneiric.errors import InvalidError, nearest

USAGE: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises for wrong usage; only its heir has a public name."""


class UsageError(InvalidError):
    """A command line with an unknown command or option, or a missing or odd value."""

    code = "usage"

    @classmethod
    def told(cls, error: Any, commands: Iterable[str], load: Callable[[str], Any]) -> UsageError:
        """Return typer's *error* as one of ours, with what to write instead."""
        text = error.format_message().partition(" (Possible options")[0].rstrip(".")
        return cls(text[:1].lower() + text[1:], hint=_hint(error, commands, load))


def _hint(error: Any, commands: Iterable[str], load: Callable[[str], Any]) -> str:
    context = error.ctx
    if context is None:
        return "oneiric --help"
    option = getattr(error, "option_name", "")
    loaded = (load(name) for name in commands if option and context.parent is None)
    if any(option in _options(command, context) for command in loaded):
        return f"it stands after the command: {context.info_name} COMMAND {option}"
    known = _options(context.command, context)
    close = nearest(option, known) if option else _command(error, context, commands)
    if close:
        return f"did you mean {close}?"
    root = context.find_root()
    if option in _options(root.command, root):
        return f"it stands before the command: {root.info_name} {option} … {context.info_name}"
    return f"{context.command_path} --help"


def _options(command: Any, context: Any) -> list[str]:
    return [name for each in command.get_params(context) for name in each.opts]


def _command(error: Any, context: Any, commands: Iterable[str]) -> str:
    """Return the command that an unknown one resembles."""
    if context.parent is not None or "No such command" not in error.message:
        return ""
    return nearest(error.message.split("'")[1], commands)
