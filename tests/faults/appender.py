"""A process that appends to runs in a journal until it is killed, and says what was stored.

`python -m tests.faults.appender PATH DURABILITY RUNS PAUSE` claims or creates the runs `r0` to
`rN`, then prints `RUN SEQ SEQ` for each acknowledged append, and `lost RUN` when another
holder took a run. It pauses for PAUSE seconds between appends. What it appends says who it is
and counts, so that nothing can be mistaken for something else.
"""

import asyncio
import os
import sys
from pathlib import Path

from oneiric.clock import SystemClock
from oneiric.errors import LeaseLostError, RunExistsError
from oneiric.runs.event import EventKind
from oneiric.runs.journal import Journal
from oneiric.stores.journal import Durability, SqliteJournal
from tests.runs.journal_laws import created, event

CLAIM_SECONDS = 0.3


def say(*words: object) -> None:
    """Write one line to the parent in one piece."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def hold(journal: Journal, run_id: str, me: str, number: int, pause: float) -> int:
    """Hold a run and append to it until it is lost; return how often in all."""
    try:
        stored, lease = await journal.create(
            run_id, [created(run_id)], holder=me, seconds=CLAIM_SECONDS
        )
        say(run_id, *(each.seq for each in stored))
    except RunExistsError:
        lease = await journal.claim(run_id, holder=me, seconds=CLAIM_SECONDS)
    if lease is None:
        await asyncio.sleep(0.02)
        return number
    say("claimed", run_id, lease.token)
    while True:
        number += 1
        notes = [event(run_id, EventKind.NOTED, who=me, number=number, part=n) for n in (1, 2)]
        try:
            if pause:
                await asyncio.sleep(pause)
            if pause or number % 20 == 0:
                await journal.renew([lease], seconds=CLAIM_SECONDS)
            stored = await journal.append(run_id, notes, lease=lease)
        except LeaseLostError:
            say("lost", run_id, lease.token)
            return number
        say(run_id, *(each.seq for each in stored))


async def main(path: Path, durability: str, runs: int, pause: float) -> None:
    """Hold every run again and again, for ever."""
    journal = SqliteJournal(path, clock=SystemClock(), durability=Durability(durability))

    async def again(run_id: str) -> None:
        number = 0
        while True:
            number = await hold(journal, run_id, f"p{os.getpid()}", number, pause)

    await asyncio.gather(*(again(f"r{number}") for number in range(runs)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
