"""A journal or a ledger that somebody wrote into: a task of which it tells is not done."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import IllegalMoveError
from oneiric.remote.security import PrivateKey
from oneiric.validation.desk import ValidationDesk
from oneiric.validation.ledger import Ledger, LedgerError, LedgerSettings
from tests.validation.parts import parts
from tests.validation.tasks import task, told

Data = dict[str, Any]
Tamper = Callable[[Path], None]
GATE = {"verdict": {"effect": "allow", "code": "open"}, "head": None}


def rewritten(
    folder: Path,
    run_id: str,
    change: Callable[[list[Data]], list[Data]],
    *,
    state: str = "succeeded",
) -> None:
    """Put other events in the place of those of a run, as whoever owns the file can."""
    with closing(sqlite3.connect(folder / ".oneiric_cache" / "oneiric.sqlite")) as stored, stored:
        found = stored.execute(
            "SELECT seq, kind, at, step, data FROM events WHERE run_id = ? ORDER BY seq", [run_id]
        )
        names = ("seq", "kind", "at", "step", "data")
        events = [dict(zip(names, row, strict=True)) for row in found]
        for event in events:
            event["data"] = json.loads(event["data"])
        stored.execute("DELETE FROM events WHERE run_id = ?", [run_id])
        for seq, event in enumerate(change(events), 1):
            row = (run_id, seq, event["kind"], event["at"], event["step"])
            stored.execute(
                "INSERT INTO events (run_id, seq, kind, at, step, data) VALUES (?, ?, ?, ?, ?, ?)",
                [*row, json.dumps(event["data"])],
            )
        ended = "" if state == "running" else events[-1]["at"]
        stored.execute(
            "UPDATE runs SET state = ?, ended_at = ? WHERE run_id = ?", [state, ended, run_id]
        )


def digests_in(events: list[Data]) -> list[str]:
    """Return the digests of the proofs that a journal knows."""
    results = (event["data"].get("result") or {} for event in events)
    return [proof["digest"] for result in results for proof in result.get("proofs") or ()]


def gate_opened(events: list[Data], seen: list[str], *, entry: str = "") -> list[Data]:
    """Let the gate have opened, and the task be done."""
    kept = [event for event in events if event["step"] not in ("gate.production", "done")]
    *before, last = [event for event in kept if event["step"] != "remember"]
    opened = {
        "seq": 0,
        "kind": "step-succeeded",
        "at": last["at"],
        "step": "gate.production",
        "data": {"result": {**GATE, "seen": seen, "entry": entry}},
    }
    sealed = {**opened, "step": "done", "data": {"result": {"seen": len(seen), "head": None}}}
    ended = {**last, "data": {"state": "succeeded"}}
    return [*before, opened, sealed, ended]


def forged_outcomes(events: list[Data]) -> list[Data]:
    """Turn what failed into a pass."""
    text = json.dumps([event["data"] for event in events]).replace(
        '"outcome": "fail"', '"outcome": "pass"'
    )
    for event, data in zip(events, json.loads(text), strict=True):
        event["data"] = data
    return gate_opened(events, digests_in(events))


def forged_proofs(events: list[Data]) -> list[Data]:
    """Name proofs that nobody made."""
    for event in events:
        if event["step"] == "check.1" and event["kind"] == "step-succeeded":
            made = {"check": "a", "kind": "live", "outcome": "pass", "digest": "sha256:00"}
            event["data"]["result"] = {"proofs": [made], "head": None}
    return gate_opened(events, ["sha256:00"])


def forged_gate(events: list[Data]) -> list[Data]:
    """Say that the gate opened, for proofs that failed."""
    return gate_opened(events, digests_in(events))


@pytest.mark.parametrize(
    ("forge", "error"),
    [
        (forged_outcomes, LedgerError),
        (forged_proofs, LedgerError),
        (forged_gate, IllegalMoveError),
    ],
)
async def test_promise_task_a_journal_alone_makes_no_task_done(
    tmp_path: Path, forge: Callable[[list[Data]], list[Data]], error: type[Exception]
) -> None:
    """A task that production refused is done for nobody who only writes into the journal."""
    async with parts(tmp_path) as found:
        for path in ("/a", "/b", "/", "/health"):
            found.service.answers[path] = 500
        refused = await found.orchestrator.execute_task(task())
    assert told(refused)[0] == "prod_fail"

    rewritten(tmp_path, refused.run_id, forge)

    async with parts(tmp_path) as found:
        with pytest.raises(error):
            await found.orchestrator.task(refused.run_id)


def changed(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes().replace(b'"exit_code":1', b'"exit_code":0', 1))
    ledger.write_bytes(ledger.read_bytes().replace(b'"outcome":"pass"', b'"outcome":"fail"', 1))


def dropped(ledger: Path) -> None:
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[1:]))


def reordered(ledger: Path) -> None:
    first, second, *others = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join([second, first, *others]))


def repeated(ledger: Path) -> None:
    first, *others = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join([first, first, *others]))


def truncated(ledger: Path) -> None:
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:1]))


def truncated_with_its_head(ledger: Path) -> None:
    truncated(ledger)
    ledger.with_suffix(".head").unlink()


def put_back(ledger: Path) -> None:
    """The ledger and the head as they were before the last entry, which both were signed."""
    book = Ledger(
        LedgerSettings(folder=ledger.parent, key=ledger.parents[1] / "keys" / "ledger.json")
    )
    first, *others = book.entries("deploy-auth")
    ledger.unlink()
    ledger.with_suffix(".head").unlink()
    book.append("deploy-auth", first.run, [first.proof])
    assert others


def removed(ledger: Path) -> None:
    ledger.unlink()


def removed_with_its_head(ledger: Path) -> None:
    ledger.unlink()
    ledger.with_suffix(".head").unlink()


def emptied(ledger: Path) -> None:
    ledger.write_bytes(b"")


def given_another_key(ledger: Path) -> None:
    key = ledger.parents[1] / "keys" / "ledger.json"
    key.write_bytes(PrivateKey.generate().write())


def given_another_head(ledger: Path) -> None:
    head = ledger.with_suffix(".head")
    head.write_bytes(head.read_bytes().replace(b'"entries":2', b'"entries":1'))


TAMPERED = [
    *(changed, dropped, reordered, repeated, truncated, truncated_with_its_head, put_back),
    *(removed, removed_with_its_head, emptied, given_another_key, given_another_head),
]


@pytest.mark.parametrize("tamper", TAMPERED)
async def test_promise_task_a_ledger_that_is_touched_while_a_task_runs_makes_none_done(
    tmp_path: Path, tamper: Tamper
) -> None:
    """Whatever is done to it between two checks: it shows at the next entry, or at the gate."""
    async with parts(tmp_path) as found:
        found.service.hold = asyncio.Event()
        found.service.answers["/held"] = 200
        given = task(
            local_tests=["true", "echo"], live_checks=[{"url": "/held"}], standard_checks=[]
        )
        trying = asyncio.ensure_future(found.orchestrator.execute_task(given))
        await found.service.held.wait()
        ledger = tmp_path / ".oneiric_cache" / "ledger" / "deploy-auth.jsonl"
        assert len(ledger.read_bytes().splitlines()) == 2
        tamper(ledger)
        found.service.hold.set()
        done = await trying
    assert told(done)[0] in ("validating", "prod_fail")
    assert told(done)[2] in ("ledger-broken", "unavailable")


@pytest.mark.parametrize("is_dropped", [True, False])
async def test_promise_task_a_journal_alone_makes_no_drift_go_away(
    tmp_path: Path, is_dropped: bool
) -> None:
    """A report that somebody wrote anew opens no gate, and no gate that it opened is passed."""

    def undrifted(events: list[Data]) -> list[Data]:
        kept = [each for each in events if each["kind"] not in ("run-ended", "step-canceled")]
        for event in kept:
            if event["step"] == "drift" and event["kind"] == "step-succeeded":
                event["data"]["result"] |= {"items": [], "has_drift": False, "outcome": "pass"}
            if event["step"] == "gate.validation" and event["kind"] == "step-failed":
                event["kind"], event["data"] = "step-succeeded", {"result": {**GATE, "seen": []}}
        gone = {"remember", "gate.validation"} if is_dropped else {"remember"}
        return [each for each in kept if each["step"] not in gone]

    async with parts(tmp_path) as found:
        found.detector.has_drifted()
        drifted = await found.orchestrator.execute_task(task())
        rewritten(tmp_path, drifted.run_id, undrifted, state="running")
        again = await found.orchestrator.resume(drifted.run_id)
    assert told(drifted)[0] == "env_drift"
    assert again.metadata["code"] == "ledger-broken"


def asks_for_less(events: list[Data]) -> list[Data]:
    """Go back to before the last gate, which is told of no check that failed."""
    begun = events[0]["data"]
    failed = {each["id"] for each in begun["input"]["steps"]["check.2"]["checks"]}
    gate = begun["input"]["steps"]["gate.production"]
    gate["checks"] = [each for each in gate["checks"] if each["id"] not in failed]
    gone = ("gate.production", "done", "remember")
    return [each for each in events if each["step"] not in gone and each["kind"] != "run-ended"]


async def test_promise_task_a_run_that_asks_for_less_than_its_task_makes_none_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on with it: the gate opens, and the task is told as done to nobody."""
    monkeypatch.chdir(tmp_path)
    async with parts(tmp_path) as found:
        found.service.answers["/b"] = 500
        refused = await found.orchestrator.execute_task(task(required_proofs=2))
        rewritten(tmp_path, refused.run_id, asks_for_less, state="running")
        ended = await (await found.orchestrator.host.engine.resume(refused.run_id))
        with pytest.raises(LedgerError) as raised:
            await found.orchestrator.task(refused.run_id)
    verified = await asyncio.to_thread(ValidationDesk().verify, refused.id)
    assert (told(refused)[0], str(ended.state)) == ("prod_fail", "succeeded")
    assert [each.key for each in raised.value.problems] == [refused.run_id]
    assert [each.key for each in verified.problems] == [refused.run_id]


async def test_promise_task_a_run_goes_on_as_nothing_but_what_it_was_begun_as(
    tmp_path: Path,
) -> None:
    """Not as an easier task, however well its journal tells of that one."""
    async with parts(tmp_path) as found:
        found.service.answers["/b"] = 500
        refused = await found.orchestrator.execute_task(task())
        easier = await found.orchestrator.execute_task(task(live_checks=[{"url": "/a"}]))
        begun, *_ = await found.orchestrator.host.journal.read(easier.run_id)
        other: Data = json.loads(json.dumps(begun.data))

        def as_another(events: list[Data]) -> list[Data]:
            first, *kept = [each for each in asks_for_less(events) if each["step"] != "check.2"]
            return [{**first, "data": other}, *kept]

        rewritten(tmp_path, refused.run_id, as_another, state="running")
        with pytest.raises(LedgerError) as raised:
            await found.orchestrator.resume(refused.run_id)
    assert [each.key for each in raised.value.problems] == [refused.run_id]
