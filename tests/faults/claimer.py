"""A process that claims runs when it is told to, and says which it got.

`python -m tests.faults.claimer PATH SECONDS RUN...` prints `ready`, waits until a file `go` is
beside the database, claims each run, and prints `got RUN TOKEN` or `held RUN`. Then it waits for
its end. With `create` before the runs it creates them first.
"""

import asyncio
import os
import sys
from pathlib import Path

from oneiric.clock import SystemClock
from oneiric.stores.journal import SqliteJournal
from tests.faults.appender import say
from tests.runs.journal_laws import created


async def main(path: Path, seconds: float, runs: list[str]) -> None:
    """Claim every run once."""
    journal, me = SqliteJournal(path, clock=SystemClock()), f"p{os.getpid()}"
    if runs[0] == "create":
        for run_id in runs[1:]:
            await journal.create(run_id, [created(run_id)], holder=me, seconds=seconds)
        say("ready")
    else:
        say("ready")
        while not path.with_name("go").exists():
            pass
        for run_id in runs:
            lease = await journal.claim(run_id, holder=me, seconds=seconds)
            say(*(("got", run_id, lease.token) if lease else ("held", run_id)))
    say("done")
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
