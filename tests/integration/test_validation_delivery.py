"""Validation as a user gets it: from a signed manifest, each part replaceable under a task."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from manifests.publish import publish
from oneiric.core.candidate import Candidate
from oneiric.core.policy import Verdict
from oneiric.ports.executor import Command, CommandResult
from oneiric.ports.gatekeeper import GateQuestion
from oneiric.validation.models import OrchestratorConfig
from oneiric.validation.orchestrator import Orchestrator
from oneiric.validation.providers.gatekeeper import StrictGatekeeper
from tests.validation.parts import Notebook, PlainDetector, PlainValidator, Service, served
from tests.validation.tasks import task, told

ROOT = Path(__file__).parents[2]
FILES = ("manifests/validation.yaml", "docs/sample_remote_manifest.yaml", "oneiric.toml")
PARTS = {
    "validator": "live",
    "drift": "compare",
    "gatekeeper": "strict",
    "executor": "process",
    "knowledge": "snipara",
}
"""What the manifest offers: each part, and its provider."""


class Deciding(StrictGatekeeper):
    """The gatekeeper of somebody else, who notes at which gates it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def check(self, asked: GateQuestion, /) -> Verdict:
        """Note the gate, and be as strict as ours."""
        self.asked.append(str(asked.gate))
        return super().check(asked)


class Running:
    """The command runner of somebody else."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def run(self, command: Command, *, output: Any = None) -> CommandResult:
        """Run it, and keep nothing that it says."""
        self.ran.append(command.program)
        child = await asyncio.create_subprocess_exec(*command.args, cwd=command.cwd)
        return CommandResult(exit_code=await child.wait())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository that has taken the signed manifest over, with the example configuration."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    publish(tmp_path, datetime.now(UTC))
    subprocess.run(
        [sys.executable, "-m", "oneiric.cli", "--profile", "validation", "remote-sync"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    return tmp_path


@asynccontextmanager
async def delivered(folder: Path) -> AsyncIterator[tuple[Orchestrator, Service]]:
    """Give an orchestrator with the parts of the manifest, and a service for it."""
    async with served() as service:
        config = OrchestratorConfig(prod_url=service.url, repo_path=folder)
        async with Orchestrator(config, profile="validation") as orchestrator:
            yield orchestrator, service


async def test_promise_task_the_signed_manifest_outranks_what_is_built_in(folder: Path) -> None:
    """Each of the five parts; and without an account a task is done by it all the same."""
    async with delivered(folder) as (orchestrator, _):
        resolver = orchestrator.host.lifecycle.resolver
        for part, provider in PARTS.items():
            first, *others = [
                each.candidate
                for each in resolver.explain(f"adapter:{part}").standings
                if each.candidate.provider == provider
            ]
            assert (first.source.detail[:7], first.stack) == ("sha256:", "validation"), part
            assert [each.stack for each in others] == ["oneiric"], part
        done = await orchestrator.execute_task(task(drift={"enabled": False}))
    assert told(done) == ("done", "done", "")
    assert "warnings" not in done.metadata
    by = [proof.evidence.by for proof in done.proofs if proof.evidence]
    assert {each.provider for each in by} == {"process", "live"}
    assert all(each.manifest_digest.startswith("sha256:") for each in by)
    assert (folder / ".oneiric_cache" / "ledger" / "deploy-auth.jsonl").is_file()


async def test_promise_task_each_part_is_replaced_by_a_third_party_while_a_task_runs(
    folder: Path,
) -> None:
    """All five in the middle of a local test: what is under way ends with the old ones."""
    theirs: Mapping[str, Any] = {
        "validator": PlainValidator(),
        "drift": PlainDetector(),
        "gatekeeper": Deciding(),
        "executor": Running(),
        "knowledge": Notebook(),
    }
    waits = ["sh", "-c", "touch begun; until [ -e go ]; do sleep 0.02; done"]
    bound: list[str] = []
    async with delivered(folder) as (orchestrator, _):
        lifecycle = orchestrator.host.lifecycle
        for part, instance in theirs.items():
            offer = Candidate(f"adapter:{part}", "theirs", lambda it=instance: it, stack_level=-9)
            lifecycle.resolver.register(offer)
        lifecycle.hook("post_swap", lambda swap: bound.append(str(swap.ref)))
        async with asyncio.TaskGroup() as group:
            trying = group.create_task(
                orchestrator.execute_task(task(local_tests=[waits, "echo again"]))
            )
            while not (folder / "begun").exists():  # noqa: ASYNC110  a process makes it
                await asyncio.sleep(0.02)
            swaps = [
                group.create_task(lifecycle.swap(f"adapter:{part}", provider="theirs"))
                for part in theirs
            ]
            while len(bound) < len(theirs):  # noqa: ASYNC110  hooks tell it
                await asyncio.sleep(0.02)
            (folder / "go").touch()
        done = trying.result()
    assert all(swap.result().ok for swap in swaps)
    assert told(done) == ("done", "done", ""), done.error
    by = [proof.evidence.by.provider for proof in done.proofs if proof.evidence]
    assert by == ["process", "theirs", *["theirs"] * 4]
    assert theirs["executor"].ran == ["echo"]
    assert len(theirs["validator"].done) == 4
    assert len(theirs["drift"].asked) == 1
    assert theirs["gatekeeper"].asked == ["validation", "validation", "production"]
    assert len(theirs["knowledge"].kept) == 1
