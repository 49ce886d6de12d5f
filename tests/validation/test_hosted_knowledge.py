"""A task beside the hosted knowledge: whatever that answers, the task is what production says."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from oneiric.errors import OneiricError
from oneiric.reports.forms import report_text
from oneiric.reports.report import RunReport
from oneiric.validation.models import OrchestratorConfig
from oneiric.validation.orchestrator import Orchestrator
from tests.contract.snipara import BAD, KEY, PROJECT, Snipara
from tests.validation.parts import Parts, Service, served
from tests.validation.tasks import task, told

FORMS = ("html", "markdown", "junit", "json")


@asynccontextmanager
async def hosted(folder: Path) -> AsyncIterator[tuple[Orchestrator, Snipara, Service]]:
    """Give an orchestrator that asks a Snipara on loopback, and the service that it validates."""
    (folder / "oneiric.toml").write_text("[adapters.provider_settings.snipara]\nattempts = 1\n")
    snipara = Snipara(folder)
    runner = web.AppRunner(snipara.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with served() as service:
            config = OrchestratorConfig.model_validate(
                {
                    "prod_url": service.url,
                    "repo_path": folder,
                    "snipara_api_key": KEY,
                    "snipara_project": PROJECT,
                    "snipara_api_url": url,
                }
            )
            async with Orchestrator(config) as orchestrator:
                parts = Parts(orchestrator, service)
                parts.offer()
                yield orchestrator, snipara, service
    finally:
        await runner.cleanup()


async def test_defect_validation_b11_the_address_of_the_hosted_knowledge_is_told(
    tmp_path: Path,
) -> None:
    """What a task asks and remembers goes where the configuration says, as all calls do."""
    async with hosted(tmp_path) as (orchestrator, snipara, _):
        done = await orchestrator.execute_task(task())
        found = await orchestrator.snipara.recall("Deploy")
    assert told(done) == ("done", "done", "")
    assert snipara.tools == ["context_query", "remember", "recall"]
    assert len(found["memories"]) == 1
    assert snipara.problems == []


@pytest.mark.parametrize("mode", [name for name in BAD if name != "slow"])
async def test_defect_validation_b5_nothing_that_is_answered_blocks_or_fails_a_task(
    tmp_path: Path, mode: str
) -> None:
    """It is done; what went wrong is a warning, and the key stands nowhere."""
    async with hosted(tmp_path) as (orchestrator, snipara, _):
        snipara.modes = [BAD[mode]] * 50
        done = await orchestrator.execute_task(task())
        events = await orchestrator.host.journal.read(done.run_id)
    assert told(done) == ("done", "done", "")
    warnings = done.metadata["warnings"]
    assert isinstance(warnings, list)
    assert len(warnings) == 2
    reports = [report_text(RunReport.of(events), form) for form in FORMS]
    kept = [json.dumps([each.as_json() for each in events]), *reports, str(done)]
    ledger = (tmp_path / ".oneiric_cache" / "ledger" / "deploy-auth.jsonl").read_text()
    assert not [text for text in (*kept, ledger) if KEY in text]


async def test_defect_validation_b12_what_is_no_json_is_refused_and_nothing_is_sent(
    tmp_path: Path,
) -> None:
    """A time, for one; the error says so, and what comes after is as before."""
    async with hosted(tmp_path) as (orchestrator, snipara, _):
        swarm = await orchestrator.snipara.create_swarm(name="one")
        given = {"swarm_id": swarm["swarm_id"], "agent_id": "a", "key": "at"}
        sent = len(snipara.received)
        with pytest.raises(OneiricError, match="JSON cannot say"):
            await orchestrator.snipara.set_state(**given, value={"at": datetime.now(UTC)})
        assert len(snipara.received) == sent
        kept = await orchestrator.snipara.set_state(**given, value={"at": "now"})
    assert kept["success"] is True


async def test_defect_validation_b13_markup_in_a_title_is_text(tmp_path: Path) -> None:
    """What a terminal or a report would take for its own is shown as it was written."""
    title = "[/x] [red]<b>&amp;</b>"
    async with served() as service:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "oneiric.cli", "validation", "run", title),
            *("--test", "true", "--endpoint", f"{service.url}/a?q=[/y]", "--required-proofs", "2"),
            cwd=tmp_path,
            env={"PROD_URL": service.url, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await child.communicate()
    text = output.decode()
    assert (child.returncode, "Traceback" in text) == (0, False), text
    assert title in text
