"""The command line as a reference page."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import typer

from oneiric.cli.app import app
from tests.architecture.source import House
from tests.docs.markdown import HEADER


def command_line_page(_house: House) -> str:
    """Return the page of every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    lines = [
        HEADER,
        "# The command line\n",
        "For whoever types `oneiric`, or calls it from a script.\n",
        "`oneiric [OPTIONS] COMMAND [ARGS]`; `python -m oneiric.cli` is the same. Answers go to",
        "stdout, logs and errors to stderr. With `--json` a command prints one document on stdout,",
        "its schema first, or an error as JSON. What a",
        "command ends with is under [exit codes](exit-codes.md). The options of `oneiric` itself",
        "stand before the command.\n",
        *_table(root),
    ]
    for name, command in commands(root):
        lines += [f"## {name}\n", f"`{usage(name, command)}`\n", f"{_help(command)}\n"]
        lines += _table(command)
    return "\n".join(lines)


def commands(group: Any, path: str = "oneiric") -> Iterator[tuple[str, Any]]:
    """Give every command that does something, with its full name."""
    context = typer.Context(group)
    for name in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [name])
        if hasattr(command, "list_commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def usage(name: str, command: Any) -> str:
    """Return the command as one types it."""
    words = [name]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = (parameter.metavar or parameter.name.upper()).strip("[]")
            words.append(word if parameter.required else f"[{word}]")
    return " ".join((*words, "[OPTIONS]"))


def _help(command: Any) -> str:
    return cleandoc(command.help or "").split("\f")[0].strip()


def _table(command: Any) -> Iterator[str]:
    yield "| option | meaning |"
    yield "|---|---|"
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = (parameter.metavar or parameter.name.upper()).strip("[]").replace("|", "\\|")
            yield f"| `{word}` | {parameter.help} |"
        elif not parameter.hidden:
            yield f"| {_spelling(parameter)} | {_meaning(parameter)} |"
    yield "| `--help`, `-h` | Show the command's help. |\n"


def _spelling(option: Any) -> str:
    value = "" if option.is_flag else f" {option.opts[0].strip('-').replace('-', '_').upper()}"
    return ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))


def _meaning(option: Any) -> str:
    text = (option.help or "").replace("|", "\\|")
    plain = option.is_flag or option.default in (None, "", [], ())
    return text if plain else f"{text} Default: `{option.default}`."
