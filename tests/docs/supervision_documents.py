"""The documents about supervised services, real ones."""

from pathlib import Path
from typing import Any

from tests.runtime.supervised import Bench, policy, supervising

TEXT = policy(probe_interval=1, unhealthy_after=1, max_restarts=2)


async def supervision_documents(folder: Path) -> dict[str, Any]:
    """Return the status while one service waits for its second restart, and another serves."""
    text = f"{TEXT}[runtime_supervisor.services.mailer]\nkeep_up = false\n"
    bench = Bench(folder, text=text, offers=(("mill@steam", 0), ("shop@oak", 0)))
    bench.faults.of["steam"].add("start")
    async with supervising(bench):
        await bench.later(1)
        return {"Supervised services": bench.supervisor.status().as_json()}
