"""The end of a control server while something is still asked of it."""

import asyncio
from pathlib import Path

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.errors import JSONValue, UnavailableError
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.control import ControlServer
from oneiric.web.control.client import ControlClient


class Endless:
    """An action that does not end by itself."""

    began = asyncio.Event()

    async def execute(self, payload: JSONValue) -> None:
        """Wait for ever."""
        self.began.set()
        await asyncio.Event().wait()


async def test_who_is_in_a_hurry_waits_for_nothing_that_was_asked(tmp_path: Path) -> None:
    """What is under way is let go of at once, not after the grace, and its client hears of it."""
    Endless.began.clear()
    plugin = Plugin([Candidate("action:endless", "own", Endless)])
    runtime = RuntimeOrchestrator.open(folder=tmp_path, plugins=[plugin])
    async with runtime, asyncio.TaskGroup() as group:
        async with ControlServer(runtime, grace=600) as server:
            client = ControlClient(server.path, limit=60)
            asked: dict[str, JSONValue] = {"action": "endless"}
            asking = group.create_task(asyncio.to_thread(_refused, client, asked), name="asking")
            await Endless.began.wait()
            server.hurry()
        assert "went away" in await asking


def _refused(client: ControlClient, asked: dict[str, JSONValue]) -> str:
    with pytest.raises(UnavailableError) as caught:
        client.ask("/v1/action-invoke", asked, reads=False, headers={})
    return caught.value.message
