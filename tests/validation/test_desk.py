"""The desk: what commands ask, where one run of the journal is not what it should be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from oneiric.clock import SystemClock, rfc3339
from oneiric.runs.event import EventKind, RunEvent
from oneiric.stores.journal import SqliteJournal
from oneiric.validation.desk import ValidationDesk
from tests.servers import free_port
from tests.validation.parts import served

THEIRS = """
schema: oneiric.manifest/2
name: theirs
version: 1
issued: "2025-01-01T00:00:00Z"
expires: "2099-01-01T00:00:00Z"
entries:
  - domain: adapter
    key: validator
    provider: plain
    factory: tests.validation.parts:PlainValidator
    priority: 90
"""


ASKED: dict[str, Any] = {
    "method": "GET",
    "headers": {},
    "asserts": [],
    "timeout": 5.0,
    "expected_status": [200],
    "body": "",
    "retries": 0,
    "samples": 1,
}


async def _forge(path: Path) -> None:
    clock = SystemClock()
    at, run_id = rfc3339(clock.now()), clock.new_id()
    plan = {"name": "validation:forged", "steps": [{"id": "done", "target": "task:x"}]}
    told = {"task": {"id": "forged", "title": "t"}}
    created: dict[str, Any] = {
        "plan": plan,
        "digest": "",
        "input": None,
        "context": {},
        "metadata": told,
    }
    journal = SqliteJournal(path, clock=clock)
    await journal.create(
        run_id,
        [
            RunEvent(run_id, EventKind.RUN_CREATED, at, "", created),
            RunEvent(run_id, EventKind.STEP_SUCCEEDED, at, "done", {"result": {}}),
        ],
    )
    await journal.aclose()


async def test_a_run_that_cannot_be_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes into the journal makes one run pending, and stops no command."""
    (tmp_path / ".oneiric_cache").mkdir()
    await _forge(tmp_path / ".oneiric_cache" / "oneiric.sqlite")
    monkeypatch.chdir(tmp_path)

    told: dict[str, Any] = await asyncio.to_thread(
        lambda: dict(ValidationDesk().status().as_json())
    )

    assert [(each["id"], each["status"]) for each in told["tasks"]] == [("forged", "pending")]


def test_who_asks_for_an_address_or_for_knowledge_needs_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder one endpoint can be checked, and a memory kept and found."""
    monkeypatch.chdir(tmp_path)
    asked = {**ASKED, "url": f"http://127.0.0.1:{free_port()}/"}

    proof = ValidationDesk().check(asked)
    often = ValidationDesk().check({**asked, "samples": 3})
    kept = ValidationDesk().knowledge("remember", {"content": "it is down"})
    found: Any = ValidationDesk().knowledge("recall", {"query": "down"}).result

    assert (proof.exit_code, often.exit_code, kept.exit_code) == (1, 1, 0)
    assert [each["content"] for each in found["memories"]] == ["it is down"]


async def test_a_users_own_validator_is_given_the_whole_address_of_one_check_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its id: what `validate` asks is what `run` would ask."""
    (tmp_path / "theirs.yaml").write_text(THEIRS)
    monkeypatch.chdir(tmp_path)
    async with served() as service:
        (tmp_path / "oneiric.toml").write_text(
            '[plugins]\nallowed_prefixes = ["tests"]\n'
            '[remote.sources.theirs]\nuri = "theirs.yaml"\n'
            f'[validation]\nprod_url = "{service.url}"\n'
        )
        answer = await asyncio.to_thread(ValidationDesk().check, {**ASKED, "url": "/a"})

    told: dict[str, Any] = dict(answer.as_json())
    assert (answer.exit_code, told["endpoint"]) == (0, f"{service.url}/a")
    assert service.asked == ["GET /a"]
