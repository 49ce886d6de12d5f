"""Processes of this machine, told from later ones with the same number."""

from __future__ import annotations

import os
from pathlib import Path

_DEAD = ("Z", "X")


def born(pid: int) -> str:
    """Return when a process began, in a text that is its own; empty where that is not told.

    Source: proc(5), field 22 of `/proc/PID/stat`, in ticks since the machine came up.
    """
    return _stat(pid)[1]


def is_alive(pid: int, *, since: str = "") -> bool:
    """Tell whether a process of that number runs, the one that was born at *since* if told.

    One that has ended, and that its parent has not noticed yet, runs no more.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    state, began = _stat(pid)
    return state not in _DEAD and (not since or not began or began == since)


def _stat(pid: int) -> tuple[str, str]:
    """Return the state of a process and when it began, each empty where that is not told."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")


def began_at(now: float) -> float:
    """Return when this process began, in seconds since 1970; *now* where that is not told.

    Source: proc(5), `btime` of `/proc/stat`.
    """
    ticks = born(os.getpid())
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return now
    booted = next((line.split()[1] for line in lines if line.startswith("btime ")), "")
    if not ticks or not booted:
        return now
    return int(booted) + int(ticks) / os.sysconf("SC_CLK_TCK")
