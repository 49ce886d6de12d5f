"""What a person can ask of runs and tell them: one method a verb."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from oneiric.clock import rfc3339
from oneiric.domains.found_run import found_run
from oneiric.errors import InvalidError, JSONValue, LockedError, NotFoundError
from oneiric.reports import RunReport
from oneiric.runs.engine import RunEngine
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.journal import RunRecord
from oneiric.runs.run import Run, fold
from oneiric.runs.state import RunState, StepState
from oneiric.runtime.noticed_journal import NoticedJournal
from oneiric.runtime.run_answers import Backup, Pruning, RunListing, RunTold, Soundness
from oneiric.runtime.run_notices import RunNotices
from oneiric.stores import upkeep
from oneiric.stores.journal import SqliteJournal
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

T = TypeVar("T")

_PAGE = 500
_AGE = re.compile(r"(\d{1,6})([smhdw])")
_UNITS: Mapping[str, str] = MappingProxyType(
    {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
)


@dataclass(frozen=True, slots=True)
class Told:
    """Who tells a run something, and why."""

    actor: str = "cli"
    reason: str = ""


CLI = Told()


class RunDesk:
    """Answer for commands about runs, from the state database of a configuration.

    Each verb takes a run's id, or as much of its beginning as no other run shares. Looking
    writes nothing, and where there is no database there are no runs.

    Raises (each verb): NotFoundError, AmbiguousRunError about the run; StoreError where the
    database cannot be read or written.
    """

    def __init__(self, runtime: RuntimeOrchestrator) -> None:
        self._runtime = runtime
        self._path = runtime.paths.database
        self._clock = runtime.clock

    def list(
        self, *, name: str = "", prefix: str = "", open_only: bool = False, limit: int = 20
    ) -> RunListing:
        """Return the newest runs, ended or not: of one name, of names that begin so, or all."""

        async def listed(journal: SqliteJournal) -> RunListing:
            found: list[RunRecord] = []
            page, before = limit + 1, ""
            while len(found) <= limit:
                read = await journal.runs(name=name, open_only=open_only, before=before, limit=page)
                found += [each for each in read if each.name.startswith(prefix)]
                if len(read) < page:
                    break
                page, before = _PAGE, read[-1].run_id
            return RunListing(tuple(found[:limit]), len(found) > limit)

        return self._do(listed)

    def show(self, run: str, *, prefix: str = "") -> RunReport:
        """Return the report of a run, until now where it has not ended.

        Raises:
            NotFoundError: its name does not begin with *prefix*.
        """

        async def shown(journal: SqliteJournal) -> RunReport:
            record = await found_run(journal, run)
            if not record.name.startswith(prefix):
                hint = f"oneiric run show {record.run_id}"
                raise NotFoundError(f"run of a {prefix.rstrip(':')}", record.run_id, hint=hint)
            return await self._report(journal, record.run_id)

        return self._do(shown)

    def follow(self, run: str, tell: Callable[[RunEvent], None]) -> RunReport:
        """Tell each event of a run, those to come included, and return its report at the end."""

        async def followed(journal: SqliteJournal) -> RunReport:
            record = await found_run(journal, run)
            async for event in journal.follow(record.run_id):
                tell(event)
            return await self._report(journal, record.run_id)

        return self._do(followed)

    def signal(
        self, run: str, name: str, value: JSONValue = None, *, step: str = "", said: Told = CLI
    ) -> RunTold:
        """Complete a step from outside; without *step*, the first that waits for that signal.

        With a reason the step fails for it.

        Raises:
            NotFoundError: there is no such step.
            InvalidError: the run has ended, or the value is too large.
        """

        async def signaled(journal: SqliteJournal) -> RunTold:
            record = await found_run(journal, run)
            run_id = record.run_id
            steps = fold(await journal.read(run_id)).steps  # before somebody heeds the signal
            awaited = any(
                each.state is StepState.ASSIGNED and each.signal == name and step in ("", key)
                for key, each in steps.items()
            )
            await RunEngine(journal=journal, clock=self._clock).signal(
                run_id, name, value, step=step, actor=said.actor, error=said.reason
            )
            applied = "live" if record.is_held else "stored"
            return RunTold(run_id, "signal", applied, name, step, awaited)

        return self._do(signaled)

    def cancel(self, run: str, *, said: Told = CLI) -> RunTold:
        """Ask that a run be canceled; one that nobody holds is ended here, if that is no work.

        A run with final steps to do waits for somebody who can do them.

        Raises:
            InvalidError: the run has ended.
        """

        async def canceled(journal: SqliteJournal) -> RunTold:
            record = await found_run(journal, run)
            run_id = record.run_id
            found = fold(await journal.read(run_id))
            if found.state.is_over:
                raise InvalidError(f"the run {run_id} is over: {found.state}")
            if record.is_held or _has_work_at_its_end(found):
                at, data = rfc3339(self._clock.now()), {"actor": said.actor, "reason": said.reason}
                event = RunEvent(run_id, EventKind.RUN_CANCELING, at, "", data)
                await journal.append(run_id, [event])
                return RunTold(run_id, "cancel", "live" if record.is_held else "stored")
            return await self._end(journal, found, said)

        return self._do(canceled)

    async def _end(self, journal: SqliteJournal, run: Run, said: Told) -> RunTold:
        """Cancel a run in this process, and send what its workflow wants to be told of that."""
        notices = RunNotices(self._runtime, journal, find=lambda _: run)
        engine = RunEngine(journal=NoticedJournal(journal, notices), clock=self._clock)
        async with AsyncExitStack() as stack:
            if notices.wants(run, RunState.CANCELED):
                await stack.enter_async_context(self._runtime)
            stack.push_async_callback(engine.close)
            await engine.cancel(run.run_id, actor=said.actor, reason=said.reason)
            with suppress(LockedError, InvalidError):  # somebody else ends it, or it has ended
                await (await engine.resume(run.run_id))
            async for _ in journal.follow(run.run_id):
                pass
        return RunTold(run.run_id, "cancel", "local")

    def backup(self, to: Path) -> Backup:
        """Copy the state database to *to*, in place of an earlier copy, while it may be used.

        Raises:
            InvalidPathError: *to* is the database itself.
            NotFoundError: there is no database yet.
        """
        upkeep.backup(self._path, to)
        return Backup(to, to.stat().st_size)

    def prune(self, *, before: str = "", keep: int | None = None, dry_run: bool = False) -> Pruning:
        """Delete ended runs: those that ended before a moment, except the *keep* latest.

        *before* is a date or time in RFC 3339, in UTC where it names no zone, or an age such
        as `30d` or `12h`; without it only *keep* counts.

        Raises:
            InvalidError: neither was given, or *before* is no moment.
        """
        if not before and keep is None:
            raise InvalidError("say which runs to delete", hint="--before 30d, --keep 100, or both")
        now = self._clock.now()
        moment, kept = _moment(before, now) if before else now, keep or 0
        if dry_run:
            count = len(upkeep.prunable(self._path, ended_before=moment, keep=kept))
        else:
            count = upkeep.prune(self._path, ended_before=moment, keep=kept)
        return Pruning(rfc3339(moment), kept, count, dry_run)

    def check(self) -> Soundness:
        """Check that the file is whole, and that each run stands as its events say."""
        return Soundness(self._path, upkeep.check(self._path))

    async def _report(self, journal: SqliteJournal, run_id: str) -> RunReport:
        return RunReport.of(await journal.read(run_id), now=rfc3339(self._clock.now()))

    def _do(self, work: Callable[[SqliteJournal], Awaitable[T]]) -> T:
        """Do *work* with a journal that is closed thereafter."""

        async def done() -> T:
            journal = SqliteJournal(self._path, clock=self._clock)
            try:
                return await work(journal)
            finally:
                await journal.aclose()

        return run_to_end(done())


def _has_work_at_its_end(run: Run) -> bool:
    return any(step.step.is_final and not step.state.is_over for step in run.steps.values())


def _moment(text: str, now: datetime) -> datetime:
    """Return the moment that a time or an age names."""
    if age := _AGE.fullmatch(text):
        return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        hint = "write a date such as 2026-11-20, a time, or an age such as 30d or 12h"
        raise InvalidError(f"{text!r} is no moment", hint=hint) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
