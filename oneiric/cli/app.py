"""The root command, which imports a command only when it is called."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from oneiric.cli.usage import USAGE, UsageError
from oneiric.errors import BugError, OneiricError, UnavailableError

if TYPE_CHECKING:
    from types import FrameType

    from oneiric.runtime.operator import Operator

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "list": ("oneiric.cli.inspect:list_components", "List who serves each component."),
        "explain": ("oneiric.cli.inspect:explain", "Say who serves a component, and why."),
        "status": ("oneiric.cli.inspect:status", "Show how each component stands."),
        "swap": ("oneiric.cli.swap:swap", "Select another provider for a component."),
        "rollback": ("oneiric.cli.swap:rollback", "Go back to who served before."),
        "pause": ("oneiric.cli.activity:pause", "Let a component take no new work."),
        "resume": ("oneiric.cli.activity:resume", "Let a component take work again."),
        "drain": ("oneiric.cli.activity:drain", "Pause, and wait for what is in flight."),
        "activity": ("oneiric.cli.activity:activity", "List what is paused or draining."),
        "run": ("oneiric.cli.run:app", "Look at runs, and tell them something."),
        "workflow": ("oneiric.cli.workflow:app", "Plan workflows, run them, look at their runs."),
        "recipe": ("oneiric.cli.recipe:app", "Run recipes, check them, look at their runs."),
        "validation": ("oneiric.cli.validation:app", "Have production prove that a task is done."),
        "worker": ("oneiric.cli.worker:work", "Take work from a queue and do it."),
        "orchestrate": (
            "oneiric.cli.orchestrate:orchestrate",
            "Run everything until told to stop.",
        ),
        "start": ("oneiric.cli.process:start", "Run an orchestrator in the background."),
        "stop": ("oneiric.cli.process:stop", "End the orchestrator of this folder."),
        "process-status": ("oneiric.cli.process:status", "Tell whether an orchestrator runs."),
        "health": ("oneiric.cli.health:health", "Tell whether everything is well."),
        "supervisor-info": ("oneiric.cli.health:supervisor", "Show what the profile decides."),
        "action": ("oneiric.cli.action:app", "Describe actions."),
        "action-invoke": ("oneiric.cli.action:invoke", "Run an action once."),
        "plugins": ("oneiric.cli.inspect:plugins", "List plugins, and what each brought."),
        "event": ("oneiric.cli.event:app", "Emit events, and replay what was not handled."),
        "manifest": ("oneiric.cli.manifest:app", "Write, pack, sign and compare manifests."),
        "trust": ("oneiric.cli.trust:app", "Say whose manifests are trusted."),
        "remote-sync": ("oneiric.cli.remote:sync", "Apply what sources of manifests publish."),
        "remote-status": ("oneiric.cli.remote:status", "Show how each source stands."),
        "secrets": ("oneiric.cli.secrets:app", "Have running components follow changed secrets."),
        "shell": ("oneiric.cli.shell:shell", "Open IPython around a runtime."),
        "config": ("oneiric.cli.config:app", "Show the configuration, and who set what."),
    }
)
"""Every command: where it is, and its help in the list of commands."""


class LazyGroup(TyperGroup):
    """List commands from a table; import one when it is to run or to be completed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a stand-in that knows the name and the help."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import and return the command that is called."""
        if ctx.resilient_parsing:  # for completion
            from oneiric.cli.complete import joined

            args = joined(args)
        name, stub, rest = super().resolve_command(ctx, args)
        return name, _loaded(stub.name) if stub and stub.name else stub, rest


def _loaded(name: str) -> Any:
    """Return a command; what is made while it is imported stays, so none of it is searched."""
    gc.disable()
    try:
        return _imported(name)
    finally:
        gc.freeze()
        gc.enable()


def _imported(name: str) -> Any:
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        from oneiric.cli.complete import CompletedCommand

        command = typer.Typer(add_completion=False)
        command.command(name, cls=CompletedCommand)(found)
        found = command
    loaded = get_command(found)
    loaded.name = name
    return loaded


@dataclass(slots=True, kw_only=True)
class Session:
    """What the root options said; `operator` answers the command."""

    config: Path | None = None
    profile: str | None = None
    demo: bool = False
    debug: bool = False
    operators: list[Operator] = field(default_factory=list)
    """Those that were made for the command."""

    @property
    def operator(self) -> Operator:
        """The operator that the root options describe."""
        from oneiric.cli.output import operator_for

        return operator_for(self)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Choose, explain, hold and swap the components of a running system.",
)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from importlib_metadata import version

        typer.echo(f"oneiric {version('oneiric')}")
        raise typer.Exit


def _profiles(context: typer.Context, incomplete: str) -> list[str]:
    from oneiric.cli.complete import profiles

    return profiles(context, incomplete)


@app.callback()
def root(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file; ./oneiric.toml unless named.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="Profile laid over the file.", autocompletion=_profiles),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Add the demonstration's offers.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and all logs.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            is_eager=True,
            callback=lambda wanted: _show_version(wanted=wanted),
        ),
    ] = False,
) -> None:
    """Keep the root options for the command."""
    session = context.ensure_object(Session)
    session.config, session.profile, session.demo, session.debug = config, profile, demo, debug


INTERRUPTED, TERMINATED = 130, 143


def main() -> None:
    """Run the command line; every error ends in one line and an exit code."""
    arguments = sys.argv[1:]
    if sys.stderr is None:  # closed, as in `2>&-`
        sys.stderr = io.StringIO()
    if sys.stdout is None:
        _report(UnavailableError("stdout is closed"), [])
        raise SystemExit(UnavailableError.exit_code)
    ended, session = _heed_sigterm(), Session()
    status = _called(session, arguments)
    for error in (operator.unclosed for operator in session.operators):
        if error is not None:  # beside what was done, which was told
            _report(error, [word for word in arguments if word != "--json"])
            status = status or error.exit_code
    raise SystemExit(TERMINATED if ended and status == INTERRUPTED else status)


def _called(session: Session, arguments: list[str]) -> int:
    """Do what the command line says, and return the exit code."""
    try:
        status: int | None = app(standalone_mode=False, prog_name="oneiric", obj=session)
        sys.stdout.flush()
    except USAGE as error:
        _report(UsageError.told(error, COMMANDS, _loaded), arguments)
        return UsageError.exit_code
    except OneiricError as error:
        _report(error, arguments)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _let_go_of_stdout()
        return 1
    except OSError as error:
        _report(UnavailableError(_system(error)), arguments)
        _let_go_of_stdout()
        return UnavailableError.exit_code
    except Exception as error:  # noqa: BLE001  the last resort: a bug, told in one line
        if isinstance(error.__cause__, KeyboardInterrupt):  # wrapped by a class that is made
            return INTERRUPTED
        _report(_bug(error), arguments)
        return 1
    return status or 0


def _heed_sigterm() -> list[int]:
    """End at SIGTERM as at Ctrl-C, so that what is held is let go of; return where that is noted.

    Commands that serve replace this by a wish to stop that they heed themselves.
    """
    ended: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        ended.append(number)
        interrupt = signal.getsignal(signal.SIGINT)  # a running loop has one of its own
        if callable(interrupt):
            interrupt(signal.SIGINT, frame)
        else:
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return ended


def _report(error: OneiricError, arguments: list[str]) -> None:
    if not error.message:
        return  # a command without arguments has shown its help
    from oneiric.text.printable import printable  # only an error needs it

    if "--debug" in arguments:
        sys.stderr.write(printable("".join(traceback.format_exception(error))))
    if "--json" not in arguments or not _enveloped(error):
        sys.stderr.write(printable(error.render()) + "\n")


def _enveloped(error: OneiricError) -> bool:
    """Print the error as JSON, and tell whether that could be written."""
    try:
        sys.stdout.write(json.dumps(error.as_json(), indent=2) + "\n")
        sys.stdout.flush()
    except OSError:  # such as a full disk
        _let_go_of_stdout()
        return False
    return True


def _let_go_of_stdout() -> None:
    """Drop what cannot be written any more, or the interpreter tries again as it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _system(error: OSError) -> str:
    reason = (error.strerror or type(error).__name__).lower()
    nameless = "the working directory" if error.errno == errno.ENOENT else ""
    what = error.filename or nameless
    return f"{what}: {reason}" if what else reason


def _bug(error: Exception) -> BugError:
    found = BugError(
        f"{type(error).__name__}: {error}",
        hint="this is a mistake in oneiric; run it with --debug and report what it prints",
    )
    found.__cause__ = error
    return found
