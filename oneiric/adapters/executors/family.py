"""What became of a program: the processes that belong to it, wherever they went."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "ONEIRIC_PROCESS"
"""The variable by which the processes of a program are known; nested ones carry both marks."""

_PROC = Path("/proc")
_STAT = 4096
_ENVIRON = 1 << 22  # what the system takes for arguments and variables together


@dataclass(frozen=True, slots=True)
class Member:
    """A process, when it began, which tells it from every other, and whether the group has it."""

    pid: int
    begun: int = 0
    is_grouped: bool = True


@dataclass(frozen=True, slots=True)
class _Stat:
    state: bytes
    parent: int
    group: int
    session: int
    begun: int


class Family:
    """The processes of a program whose first one leads a session, and is not yet reaped.

    They are its group and its session, those whose environment carries *mark*, and the children
    of these. So whoever makes a session of its own is found; who does that, lets its parent end,
    and also overwrites its environment, is not. Where there is no `/proc` only the group is known.
    """

    def __init__(self, leader: int, mark: str) -> None:
        self.leader = leader
        self._mark = mark.encode()

    def living(self) -> tuple[Member, ...]:
        """Return who lives, the leader included; it takes a while, so call it in a thread."""
        stats = {pid: found for pid in _pids() if (found := _stat(pid)) is not None}
        begun = stats[self.leader].begun if self.leader in stats else 0
        ours = {pid for pid, stat in stats.items() if self._is_own(pid, stat, begun)}
        more = ours
        while more := {pid for pid, each in stats.items() if each.parent in more} - ours:
            ours |= more
        living = ((pid, stats[pid]) for pid in sorted(ours) if stats[pid].state not in b"ZX")
        return tuple(Member(pid, each.begun, each.group == self.leader) for pid, each in living)

    def signal(self, members: Iterable[Member], *numbers: int) -> None:
        """Send signals to the group, and to those of *members* that have left it."""
        for number in numbers:
            with suppress(ProcessLookupError, PermissionError):  # the latter: dead, on macOS
                os.killpg(self.leader, number)
        for member in members:
            if not member.is_grouped:
                with suppress(OSError):
                    _send(member, numbers)

    def _is_own(self, pid: int, stat: _Stat, begun: int) -> bool:
        if self.leader in (pid, stat.group, stat.session):
            return True
        return stat.begun >= begun and self._mark in _content(pid, "environ", _ENVIRON)


def _send(member: Member, numbers: Iterable[int]) -> None:
    """Signal the very process, and no later one of its number where the system can tell."""
    if not hasattr(os, "pidfd_open"):
        for number in numbers:
            os.kill(member.pid, number)
        return
    descriptor = os.pidfd_open(member.pid)
    try:
        found = _stat(member.pid)
        if found is not None and found.begun == member.begun:
            for number in numbers:
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_PROC) if name.isdecimal()]  # noqa: PTH208
    except OSError:
        return []


def _stat(pid: int) -> _Stat | None:
    fields = _content(pid, "stat", _STAT).rpartition(b")")[2].split()
    if len(fields) < 20:
        return None
    parent, group, session = map(int, fields[1:4])
    return _Stat(fields[0], parent, group, session, int(fields[19]))


def _content(pid: int, name: str, limit: int) -> bytes:
    try:
        descriptor = os.open(_PROC / str(pid) / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, limit)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
