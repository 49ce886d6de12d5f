"""The gate's word in the ledger: a task is done only where what opened the gate stands there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import IllegalMoveError, RefusedError
from oneiric.validation.desk import ValidationDesk
from oneiric.validation.ledger import Ledger, LedgerError, LedgerSettings
from oneiric.validation.models import Task
from tests.validation.parts import Parts, parts
from tests.validation.tasks import task, told
from tests.validation.test_forgery import Data, digests_in, gate_opened, rewritten


def book(folder: Path) -> Ledger:
    """Return the ledger of a folder."""
    cache = folder / ".oneiric_cache"
    return Ledger(LedgerSettings(folder=cache / "ledger", key=cache / "keys" / "ledger.json"))


async def tried(found: Parts, **answers: int) -> Task:
    """Try a task where the service answers so."""
    found.service.answers.update({f"/{name}": status for name, status in answers.items()})
    return await found.orchestrator.execute_task(task())


async def half_refused(folder: Path) -> str:
    """Return the run of a task of which one check passed, and another failed."""
    async with parts(folder) as found:
        refused = await tried(found, b=500)
    assert told(refused) == ("prod_fail", "failed", "required-check-failed")
    return refused.run_id


async def entry_of(found: Parts, run_id: str) -> str:
    """Return the entry that the gate of a run named."""
    standing = await found.orchestrator.standing(run_id)
    return str(standing.results["gate.production"]["entry"])


async def test_promise_task_one_that_is_done_has_the_word_of_its_gate_in_the_ledger(
    tmp_path: Path,
) -> None:
    """It says which run production proved, by whose word and by which proofs; it is none itself."""
    async with parts(tmp_path) as found:
        done = await tried(found)
        entry = await entry_of(found, done.run_id)
    *proofs, said = book(tmp_path).read("deploy-auth", done.run_id)
    assert (said.digest, said.kind, said.subject, str(said.outcome)) == (
        *(entry, "verdict", "deploy-auth"),
        "pass",
    )
    assert said.by.provider == "strict"
    assert {str(digest) for digest in said.facts["seen"]} == {each.digest for each in proofs}  # type: ignore[union-attr]
    rest = {name: said.facts[name] for name in ("gate", "code", "run")}
    assert rest == {"gate": "production", "code": "open", "run": done.run_id}
    assert {each.evidence.digest for each in done.proofs if each.evidence} == {
        each.digest for each in proofs
    }


@pytest.mark.parametrize("entry", ["", "sha256:00", "proof", "other run"])
async def test_promise_task_a_gate_that_only_the_journal_opened_makes_no_task_done(
    tmp_path: Path, entry: str
) -> None:
    """Where one check passed and another failed, whatever entry the journal names."""
    run_id = await half_refused(tmp_path)
    async with parts(tmp_path) as found:
        other = await tried(found)
        named = await entry_of(found, other.run_id) if entry == "other run" else entry
        made = book(tmp_path).read("deploy-auth", run_id)
    named = made[0].digest if entry == "proof" else named

    rewritten(tmp_path, run_id, lambda events: gate_opened(events, digests_in(events), entry=named))

    async with parts(tmp_path) as found:
        assert told(await found.orchestrator.task(other.run_id))[0] == "done"
        with pytest.raises(LedgerError) as raised:
            await found.orchestrator.task(run_id)
    assert "says that production proved it" in "".join(raised.value.lines())


async def test_promise_task_a_run_that_is_done_is_so_by_the_proofs_of_its_gate(
    tmp_path: Path,
) -> None:
    """A journal that leaves one of them out, or adds one, is told apart from the gate's word."""
    async with parts(tmp_path) as found:
        done = await tried(found)

    def shorter(events: list[Data]) -> list[Data]:
        for event in events:
            if event["step"] == "check.2" and event["kind"] == "step-succeeded":
                event["data"]["result"]["proofs"] = []
            if event["step"] == "gate.production" and event["kind"] == "step-succeeded":
                event["data"]["result"]["seen"] = digests_in(events)
        return events

    rewritten(tmp_path, done.run_id, shorter)

    async with parts(tmp_path) as found:
        with pytest.raises(LedgerError):
            await found.orchestrator.task(done.run_id)


def failed_at_the_end(events: list[Data]) -> list[Data]:
    """Say that the last step found a ledger that was touched."""
    events[-1]["data"]["error"] = {"code": "ledger-broken", "message": "x"}
    return events


def without_entry(events: list[Data]) -> list[Data]:
    """Leave out what the gate named, as runs of earlier did."""
    for event in events:
        if event["step"] == "gate.production" and event["kind"] == "step-succeeded":
            event["data"]["result"].pop("entry", None)
    return events


def entry_as_proof(events: list[Data]) -> list[Data]:
    """Name the word of the gate as what a check found."""
    (opened,) = (
        event["data"]["result"]
        for event in events
        if event["step"] == "gate.production" and event["kind"] == "step-succeeded"
    )
    for event in events:
        if event["step"] == "check.1" and event["kind"] == "step-succeeded":
            event["data"]["result"]["proofs"][0]["digest"] = opened["entry"]
    return events


def more_asked(events: list[Data]) -> list[Data]:
    """Let the task have asked for more than was checked."""
    asked = events[0]["data"]["metadata"]["task"]
    asked["criteria"]["live_checks"].append({**asked["criteria"]["live_checks"][0], "url": "/c"})
    return events


@pytest.mark.parametrize("forge", [without_entry, entry_as_proof, more_asked])
async def test_a_done_task_whose_journal_was_changed_is_not_told_as_done(
    tmp_path: Path, forge: Callable[[list[Data]], list[Data]]
) -> None:
    """One without the word of its gate is not sealed, and that word is nobody's proof."""
    async with parts(tmp_path) as found:
        done = await tried(found)
    rewritten(tmp_path, done.run_id, forge)
    async with parts(tmp_path) as found:
        with pytest.raises(LedgerError):
            await found.orchestrator.task(done.run_id)


async def test_a_gate_that_saw_what_is_no_list_opened_for_nothing(tmp_path: Path) -> None:
    """Whatever somebody wrote there is no proof that was seen, and no mistake of the house."""
    async with parts(tmp_path) as found:
        done = await tried(found)

    def odd(events: list[Data]) -> list[Data]:
        for event in events:
            if event["step"] == "gate.production" and event["kind"] == "step-succeeded":
                event["data"]["result"]["seen"] = 7
        return events

    rewritten(tmp_path, done.run_id, odd)
    async with parts(tmp_path) as found:
        with pytest.raises(IllegalMoveError):
            await found.orchestrator.task(done.run_id)


async def test_a_journal_that_owns_to_a_broken_ledger_is_looked_at_all_the_same(
    tmp_path: Path,
) -> None:
    """Only a run that proved nothing may say itself that its ledger was touched."""
    run_id = await half_refused(tmp_path)
    rewritten(
        tmp_path,
        run_id,
        lambda events: failed_at_the_end(gate_opened(events, digests_in(events))),
    )
    async with parts(tmp_path) as found:
        with pytest.raises(LedgerError):
            await found.orchestrator.task(run_id)


async def test_a_forged_gate_is_found_by_whoever_verifies_and_shown_by_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger itself is whole; what the journal says beyond it is told, run by run."""
    run_id = await half_refused(tmp_path)
    monkeypatch.chdir(tmp_path)
    desk = ValidationDesk()
    before = await asyncio.to_thread(desk.verify, "deploy-auth")
    rewritten(tmp_path, run_id, lambda events: gate_opened(events, digests_in(events)))

    after = await asyncio.to_thread(desk.verify, "deploy-auth")
    status: Any = (await asyncio.to_thread(desk.status)).as_json()

    assert (before.exit_code, before.problems) == (0, [])
    assert (after.exit_code, [each.key for each in after.problems]) == (1, [run_id])
    assert [(each["run"], each["status"]) for each in status["tasks"]] == [
        (run_id, "ledger-broken")
    ]


async def test_a_run_whose_gate_was_forged_is_not_sealed_when_it_goes_on(tmp_path: Path) -> None:
    """A run left open behind such a gate ends with the ledger's word, not as done."""

    def opened(events: list[Data]) -> list[Data]:
        return gate_opened(events, digests_in(events))[:-2]

    async with parts(tmp_path) as found:
        run_id = (await tried(found, b=500)).run_id
        rewritten(tmp_path, run_id, opened, state="running")
        with pytest.raises(LedgerError):
            await found.orchestrator.resume(run_id)
        standing = await found.orchestrator.standing(run_id)
    assert (str(standing.status), standing.code) == ("prod_ok", "ledger-broken")
    assert "done" not in standing.results


def asked_for_less(events: list[Data]) -> None:
    """Let the gate do without the checks that failed."""
    for check in events[0]["data"]["input"]["steps"]["gate.production"]["checks"]:
        check["is_required"] = False


def asked_elsewhere(events: list[Data]) -> None:
    """Let a check ask for something else, under its own id."""
    steps = events[0]["data"]["input"]["steps"]
    steps["check.2"]["checks"][0]["url"] = steps["check.1"]["checks"][0]["url"]


def planned_less(events: list[Data]) -> None:
    """Let the gate wait for one check less."""
    steps = events[0]["data"]["plan"]["steps"]
    (gate,) = (step for step in steps if step["id"] == "gate.production")
    gate["depends_on"].remove("check.2")


@pytest.mark.parametrize("forge", [asked_for_less, asked_elsewhere, planned_less])
async def test_promise_task_a_run_goes_on_only_with_what_its_task_asks_for(
    tmp_path: Path, forge: Callable[[list[Data]], None]
) -> None:
    """Whoever writes less into its journal, and leaves it open before the gate, gains nothing."""
    begun: list[Data] = []

    def left_open(events: list[Data]) -> list[Data]:
        begun.append(json.loads(json.dumps(events[0])))
        forge(events)
        return [each for each in events if each["step"] not in ("gate.production", "remember")][:-1]

    async with parts(tmp_path) as found:
        refused = await tried(found, b=500)
        rewritten(tmp_path, refused.run_id, left_open, state="running")
        before = book(tmp_path).head("deploy-auth")
        with pytest.raises(RefusedError, match="is not what the run"):
            await found.orchestrator.resume(refused.run_id)
        assert book(tmp_path).head("deploy-auth") == before
        rewritten(tmp_path, refused.run_id, lambda events: begun + events[1:], state="running")
        again = await found.orchestrator.resume(refused.run_id)
    assert told(again) == ("prod_fail", "failed", "required-check-failed")


async def test_a_word_that_was_written_twice_does_no_harm(tmp_path: Path) -> None:
    """A gate that was killed after it wrote, and before it was recorded, writes again."""
    async with parts(tmp_path) as found:
        done = await tried(found)
    whole = book(tmp_path)
    last = whole.read("deploy-auth")[-1]
    whole.append("deploy-auth", done.run_id, [last])

    async with parts(tmp_path) as found:
        again = await found.orchestrator.task(done.run_id)
    assert told(again) == ("done", "done", "")
    assert json.dumps([each.as_json() for each in again.proofs]) == json.dumps(
        [each.as_json() for each in done.proofs]
    )
