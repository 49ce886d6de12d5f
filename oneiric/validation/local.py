"""Local tests: programs that pass by ending with 0, and the proofs of what they did."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oneiric.errors import JSONValue, OneiricError
from oneiric.ports.executor import Command, CommandResult
from oneiric.runs.body import NOBODY, Provenance
from oneiric.runs.proof import EXCERPT_LIMIT, Proof, ProofOutcome
from oneiric.text.masking import Masking
from oneiric.validation.commands import shown
from oneiric.validation.parts import result_of
from oneiric.validation.secrets import Secrets

if TYPE_CHECKING:
    from oneiric.ports.executor import Executor

LOCAL = "local"
"""The kind of the proof of a local test."""

FILLED = ("args", "env")
"""What of a program may refer to secrets."""

MAX_OUTPUT_BYTES = 256 << 10
"""Bytes of each stream that are kept, the last ones; a proof shows less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    """One program to run below the repository, within its time, and what may not be seen of it."""

    check: str
    args: Sequence[str] = field(repr=False)
    cwd: str = ""
    timeout: float = 300.0
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str = ""
    mask: Sequence[str] = field(default=(), repr=False)
    missing: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any], mask: Sequence[str], secrets: Secrets) -> LocalRun:
        """Return what a step was given, with secrets in its arguments and variables."""
        names = ("check", "args", "cwd", "timeout", "env", "user")
        told = {name: given[name] for name in names if name in given}
        told |= {name: secrets.filled(told[name]) for name in FILLED if name in told}
        return cls(mask=[*mask, *secrets.mask], missing=secrets.problem, **told)

    def as_json(self) -> dict[str, JSONValue]:
        """Return what `of` takes."""
        return {
            "check": self.check,
            "args": list(self.args),
            "cwd": self.cwd,
            "timeout": self.timeout,
            "env": dict(self.env),
            "user": self.user,
        }


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, or why it was never begun."""

    result: CommandResult | None = None
    reason: str = ""

    @property
    def outcome(self) -> ProofOutcome:
        """A program that was never begun has shown nothing, and that is no pass."""
        if self.result is None:
            return ProofOutcome.INCONCLUSIVE
        return ProofOutcome.PASSED if self.result.ok else ProofOutcome.FAILED


async def ran(executor: Executor, run: LocalRun) -> Ended:
    """Run a program without a shell: it reads nothing, and sees few variables.

    That it cannot be run is a result too.
    """
    if run.missing:
        return Ended(reason=run.missing)
    command = Command(
        list(run.args),
        cwd=run.cwd,
        env=run.env,
        timeout=run.timeout,
        max_output_bytes=MAX_OUTPUT_BYTES,
        mask=run.mask,
    )
    try:
        result = await result_of(executor, command)
    except OneiricError as error:
        return Ended(reason=Masking(run.mask).text(error.message))
    return Ended(result, result.reason)


def proof_of(run: LocalRun, ended: Ended, *, at: str, by: Provenance = NOBODY) -> Proof:
    """Return the proof of what a program did: its arguments, how it ended, what it said last."""
    result = ended.result or CommandResult()
    masking = Masking(run.mask)
    facts: dict[str, JSONValue] = {
        "check": run.check,
        "user": run.user,
        "duration_ms": round(result.duration_ms, 3),
        "attempts": 1,
        "command": [masking.text(word) for word in shown(run.args)],
        "exit_code": result.exit_code,
    }
    if ended.reason:
        facts["error"] = masking.text(ended.reason)
    streams = {"stdout": result.stdout, "stderr": result.stderr}
    dropped = {"stdout": result.stdout_dropped, "stderr": result.stderr_dropped}
    return Proof(
        claim=f"{run.check} ends with 0",
        subject=run.check,
        kind=LOCAL,
        outcome=ended.outcome,
        at=at,
        by=by,
        digests={
            name: f"sha256:{hashlib.sha256(data).hexdigest()}"
            for name, data in streams.items()
            if ended.result is not None and not dropped[name]
        },
        excerpts={name: last_of(masking.bytes(data)) for name, data in streams.items() if data},
        facts=facts,
    )


def name_of(args: Sequence[str]) -> str:
    """Return how a command is called where nobody gave it a name."""
    return shlex.join(shown(args))[:200]


def last_of(data: bytes, most: int = EXCERPT_LIMIT) -> str:
    """Return the last characters of what a program said: there stands what went wrong."""
    text = data.decode("utf-8", "replace")
    return text if len(text) <= most else f"{_CUT}{text[len(_CUT) - most :]}"


_CUT = "… "
