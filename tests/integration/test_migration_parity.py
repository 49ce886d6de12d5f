"""`docs/examples/FASTBLOCKS_PARITY_FIXTURE.yaml`: what it records is what happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.decision import Place
from oneiric.demo.fulfillment.schema import CHARGES
from oneiric.documents import parse
from oneiric.domains.workflows.topology import topology
from oneiric.remote.offers import Offers, offers_of
from oneiric.remote.verify import VerifiedManifest, unsigned
from oneiric.runs.event import EventKind
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.work import Work
from oneiric.stores.database import reading
from tests.architecture.source import ROOT

FIXTURE = ROOT / "docs" / "examples" / "FASTBLOCKS_PARITY_FIXTURE.yaml"
SAMPLE = ROOT / "docs" / "sample_remote_manifest.yaml"
FULFILLMENT = "fastblocks.workflows.fulfillment"


def told(path: Path) -> dict[str, Any]:
    """Return a manifest as it was written."""
    found = parse(path.read_bytes(), "yaml", source=path.name)
    assert isinstance(found, dict)
    return found


PARITY: Mapping[str, Any] = told(FIXTURE)["x-parity"]


def verified() -> VerifiedManifest:
    return unsigned(FIXTURE.read_bytes(), "yaml", source="fastblocks", now=datetime.now(UTC))


def offers() -> Offers:
    return offers_of(verified(), allowed=["oneiric"])


@pytest.fixture
async def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Work]:
    """Give everything that does work, over a runtime that has the fixture's offers, in a folder."""
    monkeypatch.chdir(tmp_path)
    runtime = RuntimeOrchestrator.open(folder=tmp_path)
    runtime.resolver.replace_source(verified().source, offers().candidates)
    async with Work(runtime) as found:
        yield found


def candidates() -> list[Candidate]:
    return list(offers().candidates)


def test_the_fixture_brings_what_the_sample_brings() -> None:
    """They are one shop: whoever changes one changes the other."""
    assert told(FIXTURE)["entries"] == told(SAMPLE)["entries"]


def test_every_entry_is_offered_in_all_six_domains() -> None:
    """None is in quarantine, and each says from which manifest it came."""
    found = offers()

    assert found.quarantined == ()
    assert sorted(str(each.offer) for each in found.candidates) == sorted(
        f"{each['domain']}:{each['key']}@{each['provider']}" for each in told(FIXTURE)["entries"]
    )
    assert {each.ref.domain for each in found.candidates} == {
        *("adapter", "service", "task", "event", "workflow", "action")
    }
    assert {str(each.source) for each in found.candidates} == {"manifest:fastblocks 1 (unsigned)"}


async def test_every_entry_is_explained_and_comes_up(work: Work) -> None:
    """The fixture says who serves where there is a choice; all of them are healthy."""
    lifecycle = work.runtime.lifecycle
    for candidate in candidates():
        decision = lifecycle.resolver.explain(candidate.ref)
        assert decision.winner is not None
        named = [each.candidate.provider for each in decision.standings]
        served = PARITY["served"].get(str(candidate.ref), candidate.provider)
        shadowed = PARITY["shadowed"].get(str(candidate.ref), [])
        assert (decision.winner.provider, named) == (served, [served, *shadowed])
        assert decision.winner.source.id == "manifest:fastblocks"
        assert {each.place for each in decision.standings[1:]} <= {Place.SHADOWED}
        async with lifecycle.use(candidate.offer) as component:
            assert component is not None


def test_the_workflow_plans_as_recorded(tmp_path: Path) -> None:
    """Its order, retries, queue, checkpoints and notifications; nothing is brought up for that."""
    runtime = RuntimeOrchestrator.open(folder=tmp_path)
    runtime.resolver.replace_source(verified().source, offers().candidates)
    workflow = Work(runtime, checkpoints=False).workflows.workflow(FULFILLMENT)
    category = workflow.queue_category
    queue = runtime.resolver.resolve(f"adapter:{category}").provider

    shape: Any = topology(workflow, category=category, provider=queue)

    expected = dict(PARITY["plan"])
    nodes = {node["id"]: node for node in shape["nodes"]}
    retry, undone = expected.pop("retry_policy"), expected.pop("compensations")
    assert {key: node["on_error"] for key, node in nodes.items()} == expected.pop("on_error")
    assert {key: shape[key] for key in expected} == expected
    assert {key: node["compensation"] for key, node in nodes.items() if node["compensation"]} == (
        undone
    )
    for node in nodes.values():
        assert {key: node["retry_policy"][key] for key in retry} == retry
    assert list(tmp_path.iterdir()) == []


async def test_runs_end_as_recorded_and_resume_without_doing_a_step_twice(work: Work) -> None:
    """Each case leaves its rows; a resume does what failed or was undone, and nothing else."""
    for case in PARITY["runs"]:
        name, context = case["case"], case["context"]
        ran = await work.workflows.run(FULFILLMENT, context)
        run_id = ran.run.run_id
        await expect(work, run_id, case, name)
        resumed = case.get("resumed")
        if resumed is None:
            continue

        await prepare(work, case.get("then", {}))
        found = await work.workflows.unfinished(FULFILLMENT, context)
        assert found is not None, name
        again = await work.workflows.go_on(FULFILLMENT, found)

        assert (again.resumed, again.run.run_id) == (True, run_id), name
        await expect(work, run_id, {**resumed, "context": context}, f"{name}, resumed")
    left = {
        case["context"]["order_id"]: sum(case.get("resumed", case)["order"]["charged_cents"])
        for case in PARITY["runs"]
    }
    assert kept_by_the_gateway() == sum(left.values())


async def prepare(work: Work, what: Mapping[str, Any]) -> None:
    """Do what somebody does before they resume a run."""
    if "swap" in what:
        assert (await work.runtime.swap(what["swap"])).ok
    if "run" in what:
        assert (await work.workflows.run(what["run"], what["context"])).run.state == "succeeded"


async def expect(work: Work, run_id: str, expected: Mapping[str, Any], name: str) -> None:
    """Compare a run, what was done in it, and what became of its order."""
    run: Any = await work.engine.get(run_id)
    events = await work.journal.read(run_id)
    done = Counter(each.step for each in events if each.kind is EventKind.STEP_STARTED)
    async with work.runtime.lifecycle.use("service:order-desk") as desk:
        order: Any = await desk.order(expected["context"]["order_id"])
    cents = {
        state: [each["cents"] for each in order["payments"] if each["state"] == state]
        for state in ("charged", "refunded")
    }

    assert str(run.state) == expected["state"], name
    assert (run.error or {}).get("code") == expected.get("error"), name
    assert done == expected["done"], name
    statuses = expected.get("statuses", {})
    assert {key: run.results[key]["status"] for key in statuses} == statuses, name
    assert {
        "state": order["state"],
        "charged_cents": cents["charged"],
        "refunded_cents": cents["refunded"],
        "parcels": len(order["shipments"]),
        "notices": len(order["notifications"]),
    } == expected["order"], name


def kept_by_the_gateway() -> int:
    """Return what the gateway's own book says that it charged and did not give back."""
    query = "SELECT coalesce(sum(cents), 0) FROM charges WHERE refunded_at = ''"
    with reading(Path(".oneiric_cache/payments.sqlite"), CHARGES) as connection:
        assert connection is not None
        (cents,) = connection.execute(query).fetchone()
    return int(cents)


async def test_events_reach_the_recorded_handlers(work: Work) -> None:
    """By topic, filter, priority and fan-out, with the recorded attempts; outcomes in order."""
    for case in PARITY["events"]:
        results = await work.runtime.events.emit(case["topic"], case["payload"])
        for result, expected in zip(results, case["results"], strict=True):
            said: dict[str, Any] = {
                "handler": result.handler,
                "outcome": str(result.outcome),
                "attempts": result.attempts,
                "covered": result.covered,
                **(result.value if isinstance(result.value, dict) else {}),
            }
            assert {key: said[key] for key in expected} == expected, case["case"]
            assert result.covered is expected.get("covered", False), case["case"]
    assert await work.runtime.events.letters() == []
