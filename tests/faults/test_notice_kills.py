"""A process that is killed while it tells people how a run ended."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.distributions import install
from tests.faults.test_work_kills import kill
from tests.faults.work_folder import Folder

TOLD = """
import asyncio
from pathlib import Path
from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.ports import SendResult

class Hook:
    async def send_notification(self, message):
        with Path("taken").open("a") as file:
            file.write(message.id + chr(10))
        while Path("hold").exists():
            await asyncio.sleep(0.01)
        return SendResult(message_id=message.id, provider="hook")

DAG = {"nodes": [{"id": "a", "task": "action:workflow.audit", "payload": {"event": "x"}}]}
ROUTE = {"provider": "hook", "on": ["succeeded"]}
TOLD = {"dag": DAG, "notifications": ROUTE}
HOOKS = Plugin([Candidate("adapter:messaging", "hook", Hook, priority=-10)])
WORKFLOWS = Plugin([Candidate("workflow:told", "p", Hook, metadata=TOLD)])
"""


def letters(folder: Folder) -> list[tuple[str, str]]:
    path = folder.path / ".oneiric_cache" / "oneiric.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute("SELECT id, reason FROM dead_letters"))


@pytest.mark.parametrize("words", [("workflow", "run", "told"), ("worker", "--once")])
def test_promise_w2_a_killed_process_owes_its_message_and_the_next_sends_it(
    words: tuple[str, ...], folder: Folder
) -> None:
    """Under the same id, when the claim of the killed one is over; then nothing is left."""
    points = {"oneiric.adapters": "told:HOOKS", "oneiric.workflows": "told:WORKFLOWS"}
    told = install(folder.path / "site", "told", entry_points=points, module=TOLD)
    taken, hold = folder.path / "taken", folder.path / "hold"
    hold.touch()
    first = folder.start("workflow", "run", "told", path=told)
    folder.until(taken.exists)
    kill(first)
    (owed,) = letters(folder)
    ends = [kind for kind, _ in folder.events() if kind == "run-ended"]
    hold.unlink()
    with closing(sqlite3.connect(folder.path / ".oneiric_cache" / "oneiric.sqlite")) as database:
        database.execute("UPDATE dead_letters SET claimed_until = ''")
        database.commit()
    second = folder.start(*words, "--json", path=told)
    out, err = second.communicate(timeout=60)

    assert second.returncode == 0, err
    assert (ends, owed[1], letters(folder)) == (["run-ended"], "owed", [])
    ids = taken.read_text().split()
    assert (ids[0], ids.count(owed[0])) == (owed[0], 2)
    assert json.loads(out).get("notifications", []) == [] or len(ids) == 3
