"""Programs as processes of this machine."""

import asyncio
import subprocess
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import ClassVar

from pydantic import Field, SecretStr

from oneiric.adapters.executors.child import Child
from oneiric.adapters.executors.family import MARK, Family
from oneiric.adapters.executors.output import Output
from oneiric.adapters.executors.program import folder, program, refused
from oneiric.adapters.executors.sentry import Sentry
from oneiric.adapters.settings import AdapterSettings
from oneiric.config.load import variables_named
from oneiric.core.health import HealthReport
from oneiric.errors import OneiricError
from oneiric.ports.errors import InvalidRequestError, PermissionDeniedError, UnavailableError
from oneiric.ports.executor import BACKEND, Command, CommandResult, OutputCallback, check_command
from oneiric.text.masking import Masking

SHELL = "/bin/sh"
_INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ")


class ProcessExecutorSettings(AdapterSettings):
    """Bound what programs may do, and say what they get.

    They start in `root` or below it, get the variables that `inherit` names as far as they are
    set, those of `environment`, and one by which they are known. `timeout` and
    `kill_grace_seconds`, between asking to end and killing, are seconds; bytes are counted for
    each stream. More than `max_processes` programs wait for each other.
    """

    root: Path = Path()
    allow_shell: bool = False
    inherit: tuple[str, ...] = _INHERITED
    environment: Mapping[str, SecretStr] = Field(default_factory=dict)
    timeout: float = Field(default=300.0, gt=0, le=1e7)
    kill_grace_seconds: float = Field(default=2.0, ge=0, le=600)
    max_processes: int = Field(default=16, ge=1)
    max_output_bytes: int = Field(default=4 * 1024 * 1024, ge=0)
    max_line_bytes: int = Field(default=64 * 1024, ge=1)
    max_stdin_bytes: int = Field(default=64 * 1024 * 1024, ge=0)


class ProcessExecutor:
    """Run programs as children of this process, each in a session of its own.

    What is promised of the end: when `run` is over, the program and all that it started are dead.
    Everything is asked by SIGTERM first, and killed after `kill_grace_seconds`; so is what a
    program that ended by itself has left in the background, and nobody waits for pipes that it
    holds. On Linux that goes for whoever made a session of its own too, by its parents or by the
    variable `ONEIRIC_PROCESS`, which all inherit. Who leaves its parents, its session and also
    overwrites its environment gets away; so does, where there is no `/proc`, who leaves its group,
    and whoever changed to a user that this one may not signal. What the system itself does not let
    die is given up after ten seconds, and logged.

    If this process is killed, a small shell that it keeps beside itself kills the groups of all
    programs; who left its group lives on.

    Needed by programs at once: a process, three descriptors or four; none is left afterwards.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"process", "stream", "mask"})

    def __init__(self, settings: ProcessExecutorSettings | None = None) -> None:
        self._settings = settings or ProcessExecutorSettings()
        self._places = asyncio.Semaphore(self._settings.max_processes)
        self._sentry = Sentry()
        self._children: set[Child] = set()
        self._is_idle = asyncio.Event()
        self._is_up = False

    async def init(self) -> None:
        """Take programs from now on; nothing is begun before the first."""
        self._is_up = True

    async def health(self) -> HealthReport:
        """Tell whether programs could start in the root, or why not."""
        if not self._is_up:
            return HealthReport(healthy=False, detail="the executor is not up")
        try:
            folder(self._settings.root, "")
        except OneiricError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """End all programs, and return when they are dead; their calls fail as unavailable."""
        self._is_up = False
        for child in self._children:
            child.stop(self._down())
        while self._children:
            self._is_idle.clear()
            await self._is_idle.wait()
        self._sentry.end()

    async def run(
        self, command: Command, *, on_output: OutputCallback | None = None
    ) -> CommandResult:
        """Run a program to its end, or to that of its time, and tell how it ended."""
        check_command(command)
        self._check(command)
        async with self._places:
            if not self._is_up:
                raise self._down()
            child = self._begun(command, on_output)
            self._children.add(child)
            try:
                return await child.run(
                    limit=command.timeout or self._settings.timeout,
                    grace=self._settings.kill_grace_seconds,
                )
            finally:
                self._children.discard(child)
                if not self._children:
                    self._is_idle.set()

    def _check(self, command: Command) -> None:
        if not self._is_up:
            raise self._down()
        if command.shell and not self._settings.allow_shell:
            hint = "give a list of arguments, or set allow_shell in the executor's settings"
            raise PermissionDeniedError(BACKEND, "a shell is not allowed", hint=hint)
        if len(command.stdin) > (limit := self._settings.max_stdin_bytes):
            hint = "hand it over in a file"
            raise InvalidRequestError(BACKEND, f"more than {limit} bytes to read", hint=hint)

    def _begun(self, command: Command, tell: OutputCallback | None) -> Child:
        masking = Masking(command.mask)
        mark = token_hex(8)
        env = self._environment(command, mark)
        cwd = folder(self._settings.root, command.cwd)
        args = [SHELL, "-c", *command.args] if command.shell else list(command.args)
        process = _started(program(args[0], env, cwd), args, env, cwd, reads=bool(command.stdin))
        most = self._settings.max_output_bytes
        keep = most if command.max_output_bytes is None else min(most, command.max_output_bytes)
        line = self._settings.max_line_bytes
        outputs = (
            Output("stdout", masking, keep=keep, line=line, tell=tell),
            Output("stderr", masking, keep=keep, line=line, tell=tell),
        )
        family = Family(process.pid, mark)
        return Child(process, family, self._sentry, outputs=outputs, stdin=command.stdin)

    def _environment(self, command: Command, mark: str) -> dict[str, str]:
        outer = variables_named([MARK]).get(MARK, "")
        own = {name: text.get_secret_value() for name, text in self._settings.environment.items()}
        known = {MARK: f"{outer}/{mark}" if outer else mark}
        return {**variables_named(self._settings.inherit), **own, **command.env, **known}

    def _down(self) -> UnavailableError:
        return UnavailableError(BACKEND, "the executor is not up")


def _started(
    file: str, args: list[str], env: Mapping[str, str], cwd: Path, *, reads: bool
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603  what may be run is the caller's to say
            args,
            executable=file,
            bufsize=0,
            stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise refused(args[0], error) from error
