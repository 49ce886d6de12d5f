"""The shell beside an orchestrator that runs: its magics act on that one."""

import subprocess
import sys
from typing import Any

from tests.acceptance.commands import environment
from tests.control.house import House


def shell(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `oneiric shell` in the folder of the house."""
    command = [sys.executable, "-m", "oneiric.cli", "shell", *words]
    here = environment({"HOME": str(house.folder), "COLUMNS": "120"})
    return subprocess.run(
        command,
        cwd=house.folder,
        env=here,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_magics_act_on_the_orchestrator_that_runs(shared: House) -> None:
    """What is paused in the shell is paused there at once; errors come from there too."""
    paused = shell(shared, "-c", "%pause service:status --note later")
    there: Any = shared.asked().ask("activity", {}).document
    unknown = shell(shared, "-c", "%explain adapter:nothing")
    resumed = shell(shared, "-c", "%resume service:status")

    assert (paused.returncode, resumed.returncode, unknown.returncode) == (0, 0, 6)
    assert paused.stdout.startswith("live: service:status is paused")
    (entry,) = there["domains"]["service"]["entries"]
    assert (entry["ref"], entry["note"], entry["actor"]) == ("service:status", "later", "shell")
    assert unknown.stderr.startswith("error[no-candidate]: no candidate is registered for adapter:")


def test_without_attaching_the_shell_keeps_to_its_own_process(shared: House) -> None:
    """The orchestrator is not asked, so a swap is none of its own."""
    status = shell(shared, "--no-attach", "-c", "%status service")

    assert status.returncode == 0
    assert status.stdout.splitlines()[0].endswith("; local")
