"""Wait until no other run of a group is under way: only one of a group works at once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import InvalidError
from oneiric.recipes.compiling import PREFIX
from oneiric.recipes.errors import GroupBusyError
from oneiric.recipes.plugin import TURN
from oneiric.runs.event import EventKind
from oneiric.runs.plan import Plan, Step

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.domains.host import Host
    from oneiric.errors import JSONValue
    from oneiric.recipes.sessions import Sessions
    from oneiric.runs.context import StepContext
    from oneiric.runs.journal import Journal

GROUP = "group"
"""The key in a run's metadata that names its group."""
STEP = "its turn"
"""The step that waits; no step of a recipe can be called so."""

_POLL_SECONDS = 0.1
_NOTE = "turn"


def with_turn(plan: Plan, group: str, on_busy: str) -> Plan:
    """Return the plan that begins with waiting for the other runs of *group*."""
    if not group:
        return plan
    first = Step(STEP, TURN, {"group": group, "on_busy": on_busy})
    steps = (step if step.depends_on else replace(step, depends_on=(STEP,)) for step in plan.steps)
    return replace(plan, steps=(first, *steps))


@dataclass(slots=True)
class _Seen:
    """What is known of another run: whether it is of the group, and has its turn."""

    is_member: bool = False
    has_turn: bool = False
    seq: int = 0


@dataclass(slots=True)
class Group:
    """The runs of one group, as a journal tells; each look reads only what is new."""

    name: str
    journal: Journal
    _seen: dict[str, _Seen] = field(default_factory=dict)

    async def others(self, run_id: str) -> dict[str, bool]:
        """Return the other runs of the group that somebody works on, and who has its turn."""
        found: dict[str, bool] = {}
        before = ""
        while page := await self.journal.runs(open_only=True, before=before):
            before = page[-1].run_id
            for record in page:
                is_other = record.run_id != run_id and record.name.startswith(PREFIX)
                if is_other and record.is_held:
                    seen = await self._look(record.run_id)
                    if seen.is_member:
                        found[record.run_id] = seen.has_turn
        return found

    async def _look(self, run_id: str) -> _Seen:
        seen = self._seen.setdefault(run_id, _Seen())
        if seen.seq and not seen.is_member:
            return seen
        for event in await self.journal.read(run_id, after=seen.seq):
            seen.seq = event.seq
            if event.kind is EventKind.RUN_CREATED:
                metadata = cast("Mapping[str, Any]", event.data.get("metadata") or {})
                seen.is_member = metadata.get(GROUP) == self.name
            elif event.kind is EventKind.NOTED and event.data.get("kind") == _NOTE:
                seen.has_turn = bool(event.data.get("has_turn"))
        return seen


class TurnStep:
    """Let runs of a group have their turns in the order in which they were begun.

    Each says in its journal that it takes its turn and looks once more before it does, so that
    of two which take it at once the later one lets go. A run whose process has died holds up
    nobody: at once where that was of this machine, else when its lease has ended.
    """

    def __init__(self, sessions: Link[Sessions]) -> None:
        self.sessions = sessions

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return for whom was waited.

        Raises:
            GroupBusyError: another run has its turn, and the recipe does not wait.
        """
        asked = cast("Mapping[str, str]", payload)
        async with self.sessions.use() as sessions:
            host = sessions.of(context.run_id).host
            assert host is not None
            return await _turn(host, Group(asked["group"], host.journal), asked["on_busy"], context)


async def _turn(host: Host, group: Group, on_busy: str, context: StepContext) -> JSONValue:
    mine, waited, canceled = context.run_id, dict[str, None](), set[str]()
    while True:
        others = await group.others(mine)
        ahead = [other for other, has_turn in others.items() if has_turn or other < mine]
        if not ahead:
            await host.engine.note(mine, _NOTE, {"has_turn": True}, step=STEP)
            if not await _is_beaten(host, group, mine):
                return {"status": "ok", "waited_for": list(waited)}
            await host.engine.note(mine, _NOTE, {"has_turn": False}, step=STEP)
        waited |= dict.fromkeys(ahead)
        if on_busy == "fail" and ahead:
            raise GroupBusyError(group.name, ahead)
        if on_busy == "cancel":
            await _cancel(host, [each for each in ahead if each not in canceled], mine)
            canceled.update(ahead)
        await host.clock.sleep(_POLL_SECONDS)


async def before_again(host: Host, group: Group, on_busy: str, run_id: str) -> None:
    """Wait until no other run has its turn, before one is gone on with that had its own.

    Raises:
        GroupBusyError: another run has its turn, and the recipe does not wait.
    """
    canceled = set[str]()
    while ahead := [each for each, turn in (await group.others(run_id)).items() if turn]:
        if on_busy == "fail":
            raise GroupBusyError(group.name, ahead)
        if on_busy == "cancel":
            await _cancel(host, [each for each in ahead if each not in canceled], run_id)
            canceled.update(ahead)
        await host.clock.sleep(_POLL_SECONDS)


async def _is_beaten(host: Host, group: Group, mine: str) -> bool:
    """Tell whether an earlier run takes its turn too; a later one that does is waited for."""
    while True:
        taking = [other for other, has_turn in (await group.others(mine)).items() if has_turn]
        if any(other < mine for other in taking):
            return True
        if not taking:
            return False
        await host.clock.sleep(_POLL_SECONDS)


async def _cancel(host: Host, runs: list[str], by: str) -> None:
    for run_id in runs:
        with suppress(InvalidError):  # it has ended meanwhile
            await host.engine.cancel(run_id, actor=by, reason="another run of its group began")
