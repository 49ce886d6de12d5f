"""Run a program for a step: what it says on stderr is told under the step's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from oneiric.backoff import LONGEST_SECONDS
from oneiric.ports.executor import Command, CommandResult, StreamName
from oneiric.recipes.errors import StepError
from oneiric.recipes.log import tell

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.executor import Executor
    from oneiric.recipes.sessions import Session
    from oneiric.recipes.step import Given

MOST_LINES = 10_000
"""How many lines of its stderr are told; what comes after is counted."""


async def ran(
    executor: Link[Executor],
    given: Given,
    session: Session,
    *,
    args: Sequence[str],
    env: Mapping[str, str],
    cwd: str = "",
    stdin: bytes = b"",
    hears: Callable[[bytes], object] = len,
) -> CommandResult:
    """Run a program to its end, or to that of the step's time, and return how it ended.

    Its stdout is left as it is, so that a secret in it can be found; *hears* gets its lines.

    Raises:
        StepError: it took too long; it is dead, and so is what it started.
        AdapterError: it could not be run.
    """
    masked = session.secrets.masking.stream()
    told = 0

    def heard(stream: StreamName, line: bytes) -> None:
        nonlocal told
        if stream == "stdout":
            hears(line)
        elif (shown := masked.feed(line)) and (told := told + 1) <= MOST_LINES:
            tell(f"{given.name}: {shown.decode(errors='replace').rstrip()}")

    command = Command(
        args,
        cwd=str(session.compiled.recipe.folder / cwd),
        env=env,
        stdin=stdin,
        timeout=given.limit or LONGEST_SECONDS,
    )
    async with executor.use() as programs:
        result = await programs.run(command, on_output=heard)
    if rest := masked.end():
        tell(f"{given.name}: {rest.decode(errors='replace').rstrip()}")
    if told > MOST_LINES:
        tell(f"{given.name}: and {told - MOST_LINES} lines more")
    if result.timed_out:
        raise StepError(given.name, result.reason, code="timeout")
    return result


def failure(given: Given, result: CommandResult) -> StepError:
    """Return the failure of a program that ended otherwise than it should have."""
    last = result.stderr.decode(errors="replace").rstrip().rpartition("\n")[2][:500]
    reason = result.reason or f"ended with exit code {result.exit_code}"
    code = f"exit-{result.exit_code}" if result.signal is None else "killed"
    return StepError(given.name, f"it {reason}{f': {last}' if last else ''}", code=code)
