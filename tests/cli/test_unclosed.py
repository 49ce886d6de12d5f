"""A component that cannot be closed takes nothing away from the work that was done."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.commands import Finished, oneiric
from tests.distributions import install

MODULE = """
from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin

class Stuck:
    def cleanup(self):
        raise OSError("it jams")

class Jam(Stuck):
    async def execute(self, payload):
        if payload:
            raise ValueError("no")
        return {"done": True}

    async def handle(self, event):
        return "heard"

class Task(Stuck):
    async def run(self, *given, **named):
        return {"done": True}

class Flow:
    pass

TOPICS = {"topics": ["jam.made"]}
DAG = {"dag": {"nodes": [{"id": "first", "task": "jam"}]}}
ADAPTERS = Plugin([Candidate("adapter:jam", "own", Jam)])
ACTIONS = Plugin([Candidate("action:jam", "own", Jam)])
EVENTS = Plugin([Candidate("event:jam", "own", Jam, metadata=TOPICS)])
TASKS = Plugin([Candidate("task:jam", "own", Task)])
WORKFLOWS = Plugin([Candidate("workflow:jam", "own", Flow, metadata=DAG)])
"""
GROUPS = ("adapters", "actions", "events", "tasks", "workflows")
TOLD = """\
error[end-failed]: not everything ended in order
  {}@own failed in cleanup: OSError: it jams
"""


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Finished]:
    """Return a caller of `oneiric` where everything that is called `jam` cannot be closed."""
    points = "\n".join(f"[oneiric.{group}]\nmain = jam:{group.upper()}" for group in GROUPS)
    install(tmp_path / "site", "jam", entry_points=points, module=MODULE)
    (tmp_path / "oneiric.toml").write_text('[adapters.selections]\njam = "own"\n')

    def call(*words: str) -> Finished:
        return oneiric(*words, folder=tmp_path, variables={"PYTHONPATH": str(tmp_path / "site")})

    return call


@pytest.mark.parametrize(
    ("words", "closed", "done"),
    [
        (("action-invoke", "jam"), "action:jam", ("result", {"done": True})),
        (("event", "emit", "--topic", "jam.made"), "event:jam", ("topic", "jam.made")),
        (("workflow", "run", "jam"), "task:jam", ("state", "succeeded")),
        (("health", "--probe"), "adapter:jam", ("healthy", True)),
    ],
    ids=["action", "event", "workflow", "health"],
)
def test_what_was_done_is_printed_and_what_cannot_be_closed_is_told_beside_it(
    words: tuple[str, ...],
    closed: str,
    done: tuple[str, object],
    command: Callable[..., Finished],
) -> None:
    """The answer is whole on stdout, the failed cleanup an error of its own on stderr, with 1."""
    code, out, err = command(*words, "--json")
    name, value = done

    assert code == 1
    assert json.loads(out)[name] == value
    assert TOLD.format(closed) in err
    assert "bug" not in err


def test_work_that_failed_is_told_with_its_own_code_and_the_cleanup_beside_it(
    command: Callable[..., Finished],
) -> None:
    """The first failure gives the exit code."""
    code, out, err = command("action-invoke", "jam", "--payload", '{"a": 1}', "--json")

    assert (code, json.loads(out)["error"]["code"]) == (1, "component-failed")
    assert err.count("error[") == 1
    assert TOLD.format("action:jam") in err
