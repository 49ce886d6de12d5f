"""Run other programs: within limits, with nothing of theirs left behind."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from oneiric.core.ref import ComponentRef
from oneiric.ports.adapter import Adapter
from oneiric.ports.errors import InvalidRequestError

BACKEND = "executor"

StreamName: TypeAlias = Literal["stdout", "stderr"]
OutputCallback: TypeAlias = Callable[[StreamName, bytes], None]
"""What is called with each line, its end included. A line longer than the provider keeps together
comes in pieces, of which only the last has an end; what a program ends with may have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Say what to run, and within which limits; its `repr` shows neither arguments nor values.

    Args:
        args: the program and its arguments; with *shell* one text for the shell alone. A name
            without a slash is looked for in the PATH that the program gets.
        cwd: the folder it starts in, below the provider's root or relative to it; empty for
            the root itself.
        env: variables that it gets beside those the provider hands on; they outrank those.
        stdin: what it can read; then comes the end, so that it never waits for a terminal.
        timeout: seconds it may take, waiting for a place not counted; None for the provider's.
        max_output_bytes: of each stream so many bytes are kept, the last ones; never more than
            the provider keeps, which None asks for.
        mask: texts that nobody may see: neither plain, nor in base64, nor quoted for a URL or
            JSON do they reach the callback or the result, even when they come in pieces.
        shell: have a shell read *args*; refused unless the provider allows it.

    >>> Command(["git", "status"], cwd="checkout", timeout=30.0).program
    'git'
    """

    args: Sequence[str] = field(kw_only=False, repr=False)
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    stdin: bytes = field(default=b"", repr=False)
    timeout: float | None = None
    max_output_bytes: int | None = None
    mask: Sequence[str] = field(default=(), repr=False)
    shell: bool = False

    @property
    def program(self) -> str:
        """What is run: the first of the arguments, or `shell`."""
        return "shell" if self.shell or not self.args else self.args[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """Tell how a program ended and what it said; that it failed is a result, not an error.

    Either `exit_code` is a number or `signal` a name such as `SIGKILL`, the other None. `stdout`
    and `stderr` are the last bytes that were said; `stdout_dropped` and `stderr_dropped` count
    those before them. `cpu_seconds` is the time that it, and what it waited for, had a processor.
    `peak_memory_bytes` is None where it stayed below the caller's own peak, for below that systems
    tell none.

    >>> done = CommandResult(exit_code=75, duration_ms=3.5, stderr=b"busy\\n")
    >>> done.ok, done.reason
    (False, 'ended with exit code 75')
    """

    exit_code: int | None = None
    signal: str | None = None
    timed_out: bool = False
    duration_ms: float = 0.0
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)
    stdout_dropped: int = 0
    stderr_dropped: int = 0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int | None = None

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, in time, with exit code 0."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def reason(self) -> str:
        """Why it is not `ok`, or an empty text."""
        if self.timed_out:
            return f"took too long and was ended after {self.duration_ms / 1000:.1f} s"
        if self.signal is not None:
            return f"was ended by {self.signal}"
        return "" if self.ok else f"ended with exit code {self.exit_code}"


class Executor(Adapter, Protocol):
    """Run programs.

    A program sees the variables it was given and no others, reads what it was given and no
    terminal, and starts in a folder below the provider's root. When `run` returns or raises, the
    program has ended, and what it started with it: see the provider for how far that goes.
    """

    async def run(
        self, command: Command, *, on_output: OutputCallback | None = None
    ) -> CommandResult:
        """Run a program to its end, or to that of its time, and tell how it ended.

        *on_output* hears each line as it comes, on the loop and in the order of each stream;
        what it raises ends the program and is raised here. A cancelled call ends the program too,
        and is over when that is. Output beyond what is kept is read and counted, so no program
        ever waits for its reader.

        Raises:
            InvalidRequestError: nobody could run this: no arguments, a NUL, too many of them, a
                folder outside the root, a file that is no program.
            NotFoundError: no such program, or no such folder.
            PermissionDeniedError: it may not be run, or a shell is not allowed.
            UnavailableError: the system has no room for another process, or the provider is
                down or being closed.
        """
        ...


EXECUTOR: ComponentRef[Executor] = ComponentRef("adapter:executor")


def check_command(command: Command) -> None:
    """Pass if *command* can be meant.

    >>> check_command(Command(["ls"], timeout=0))
    Traceback (most recent call last):
    oneiric.ports.errors.InvalidRequestError: executor: the time limit is no number above zero

    Raises:
        InvalidRequestError: says what is wrong with it; no value is repeated.
    """
    for problem in _problems(command):
        raise InvalidRequestError(BACKEND, problem)


def _problems(command: Command) -> Iterator[str]:
    args: object = command.args
    if isinstance(args, str | bytes) or not isinstance(args, Sequence):
        yield "the arguments are no list of texts"
        return
    if not args or not args[0]:
        yield "the arguments name no program"
    if command.shell and len(args) != 1:
        yield "a shell takes one text, not a list of arguments"
    yield from (f"argument {at} {why}" for at, each in enumerate(args) if (why := _text(each)))
    for name, value in command.env.items():
        if _text(name) or not name or "=" in name:
            yield "a variable has a name that no variable can have"
        elif why := _text(value):
            yield f"the variable {name} {why}"
    yield from _problems_around(command)


def _problems_around(command: Command) -> Iterator[str]:
    stdin: object = command.stdin
    if why := _text(command.cwd):
        yield f"the folder {why}"
    if not isinstance(stdin, bytes):
        yield "what it should read is no bytes"
    if command.timeout is not None and not 0 < command.timeout < math.inf:
        yield "the time limit is no number above zero"
    if command.max_output_bytes is not None and command.max_output_bytes < 0:
        yield "the limit of output is below zero"
    if any(_text(each) for each in command.mask):
        yield "what to mask is no text"


def _text(value: object) -> str:
    """Return why *value* cannot be handed to a program, or an empty text."""
    if not isinstance(value, str):
        return "is no text"
    if "\0" in value:
        return "holds a NUL"
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "is no Unicode text"
    return ""
