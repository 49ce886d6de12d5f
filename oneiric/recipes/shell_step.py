"""Steps that are commands: programs with arguments, and text for a shell where that is allowed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.errors import JSONValue, RefusedError
from oneiric.recipes.errors import StdoutError, StepError
from oneiric.recipes.places import own, within
from oneiric.recipes.programs import failure, ran
from oneiric.recipes.stdout import envelope_of, line_of
from oneiric.recipes.step import Envelope, Given, RecipeStep

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.executor import CommandResult, Executor
    from oneiric.recipes.context import Context
    from oneiric.recipes.sessions import Session, Sessions

_SHELL = ("/bin/sh", "-c")
_RUNS: Mapping[str, str] = MappingProxyType({".py": sys.executable, ".sh": _SHELL[0]})
_OTHER = re.compile(r"[^A-Z0-9]")


class ShellStep(RecipeStep):
    """Do steps by running programs.

    A program gets a few variables of this process (`PATH`, `HOME`, the language), those of the
    recipe and of the step, and `CTX_<KEY>` for each of `shell_env_keys`. It starts in the folder
    of the run or below it. Of what it prints, `stdout: json` takes the last line, which must be
    an envelope, and the only one; `text` takes all of it for `stdout_key`. Where the step says
    neither, a last line that is an envelope is taken.
    """

    def __init__(self, sessions: Link[Sessions], executor: Link[Executor]) -> None:
        super().__init__(sessions)
        self.executor = executor

    async def work(
        self, given: Given, aside: Context, *, session: Session, sessions: Sessions
    ) -> Envelope:
        """Run the program, and read what it printed."""
        cwd = given.fields.get("cwd", "")
        with _file(given, session) as hears:
            result = await ran(
                self.executor,
                given,
                session,
                args=_args(given, session),
                env=_env(given, aside, session),
                cwd=str(within(session.compiled.recipe, cwd)) if cwd else "",
                stdin=_stdin(given, aside),
                hears=hears,
            )
            return _envelope(given, aside, result)


def _args(given: Given, session: Session) -> list[str]:
    fields = given.fields
    more = [str(each) for each in fields.get("args") or ()]
    if fields.get("script"):
        path = own(session.compiled.recipe, fields["script"])
        runs = "" if os.access(path, os.X_OK) else _RUNS.get(path.suffix, "")
        return [*filter(None, (runs, str(path))), *more]
    run = fields.get("run", "")
    if not isinstance(run, str):
        return [*map(str, run), *more]
    if not session.allows_shell:
        hint = "write it as a list, or set allow.shell in the recipe and recipes.allow_shell"
        raise RefusedError(f"{given.name}: text for a shell is not allowed", hint=hint)
    return [*_SHELL, run, "sh", *more]


def _env(given: Given, aside: Context, session: Session) -> dict[str, str]:
    env = {**session.env, **given.fields.get("env", {})}
    for key in given.fields.get("shell_env_keys", ()):
        env[f"CTX_{_OTHER.sub('_', key.upper())}"] = _text(given, aside, key)
    return {name: str(value) for name, value in env.items()}


def _stdin(given: Given, aside: Context) -> bytes:
    said = given.fields.get("stdin") or {}
    key = said.get("ctx") or given.fields.get("stdin_from_ctx")
    return (_text(given, aside, key) if key else str(said.get("text", ""))).encode()


def _text(given: Given, aside: Context, key: str) -> str:
    """Return a value of the context for a program: a text as it is, anything else as JSON."""
    if key not in aside:
        raise StepError(given.name, f"the context has no {key}")
    value = aside.get(key)
    return value if isinstance(value, str) else line_of(value)


@contextmanager
def _file(given: Given, session: Session) -> Iterator[Callable[[bytes], object]]:
    """Write what is printed to the file that the step names, masked; it is there if all went well.

    An earlier file of that name stays as it is until then.
    """
    name = given.fields.get("stdout_to", "")
    if not name:
        yield len
        return
    path = within(session.compiled.recipe, name)
    part = path.with_name(f".{path.name}.{given.context.idempotency_key[:8]}.part")
    masked = session.secrets.masking.stream()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield lambda line: file.write(masked.feed(line))
            file.write(masked.end())
        part.replace(path)
    except OSError as error:
        raise StepError(given.name, f"{name} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _envelope(given: Given, aside: Context, result: CommandResult) -> Envelope:
    """Return the envelope of a program that ended, and keep what it printed.

    Raises:
        StepError: it failed, or said so.
        StdoutError: it printed no envelope, and had to.
    """
    kind = given.fields.get("stdout") or ""
    key = given.fields.get("stdout_key", "")
    lines = [line for line in result.stdout.decode(errors="replace").splitlines() if line.strip()]
    found = envelope_of(lines[-1]) if lines and kind != "text" else None
    if found is not None and found.get("status") == "error":
        reason, code = str(found.get("reason") or "it failed"), found.get("exit_code")
        raise StepError(given.name, reason, envelope=found, code=f"exit-{code}" if code else "")
    if result.exit_code not in given.success.get("exit_codes", (0,)):
        raise failure(given, result)
    if kind == "json" and (found is None or sum(map(bool, map(envelope_of, lines))) != 1):
        what = "stdout_contract: its last line must be a JSON envelope, and no other line"
        raise StdoutError(given.name, what)
    outputs: list[JSONValue] = []
    if key:
        aside.set(key, found if found and kind != "text" else _all(given, result), who=given.name)
        outputs.append(key)
    return found or {"status": "ok", "outputs": outputs, "exit_code": result.exit_code}


def _all(given: Given, result: CommandResult) -> str:
    if result.stdout_dropped:
        what = f"it printed {result.stdout_dropped} bytes more than are kept; use stdout_to"
        raise StdoutError(given.name, what)
    return result.stdout.decode(errors="replace").rstrip("\n")
