"""The shop of the sample manifest: no order is charged or shipped twice, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.demo.fulfillment.payments import GatewaySettings, InvoiceGateway
from oneiric.demo.fulfillment.schema import CHARGES, ORDERS
from oneiric.errors import UnavailableError
from oneiric.remote.offers import offers_of
from oneiric.remote.verify import unsigned
from oneiric.runs.run import Run
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.work import Work
from oneiric.stores.database import reading
from tests.architecture.source import ROOT

FULFILLMENT = "fastblocks.workflows.fulfillment"
SAMPLE = ROOT / "docs" / "sample_remote_manifest.yaml"


@pytest.fixture
async def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Work]:
    """Give everything that does work, over a runtime that has the sample's offers, in a folder."""
    monkeypatch.chdir(tmp_path)
    runtime = RuntimeOrchestrator.open(folder=tmp_path)
    verified = unsigned(SAMPLE.read_bytes(), "yaml", source="sample", now=datetime.now(UTC))
    offers = offers_of(verified, allowed=["oneiric"])
    runtime.resolver.replace_source(verified.source, offers.candidates)
    async with Work(runtime) as found:
        yield found


async def fulfilled(work: Work, **context: Any) -> Run:
    return (await work.workflows.run(FULFILLMENT, context)).run


async def done(work: Work, task: str, **payload: Any) -> Any:
    """Run one task by itself, and return its result, or the code of its error."""
    run = await work.tasks.run(f"fastblocks.tasks.{task}", payload)
    return run.results.get("run") or (run.error or {})["code"]


def rows(query: str, *values: object, path: str = "orders", schema: Any = ORDERS) -> list[Any]:
    with reading(Path(f".oneiric_cache/{path}.sqlite"), schema) as connection:
        assert connection is not None
        return [tuple(row) for row in connection.execute(query, values)]


def charges() -> list[Any]:
    return rows("SELECT cents FROM charges", path="payments", schema=CHARGES)


class DyingGateway(InvoiceGateway):
    """Charge, and be gone before the first answer is heard."""

    asked = 0

    async def charge(self, key: str, cents: int, payer: str) -> str:
        reference = await super().charge(key, cents, payer)
        self.asked += 1
        if self.asked == 1:
            raise UnavailableError("gone")
        return reference


async def test_a_charge_whose_answer_was_lost_is_not_made_twice(work: Work) -> None:
    """The gateway is asked again under the same key."""
    gateway = DyingGateway(GatewaySettings())
    offer = Candidate("adapter:payments", "dying", lambda: gateway, priority=900, stack_level=50)
    work.runtime.resolver.register(offer)

    run = await fulfilled(work, order_id="lost")

    assert (str(run.state), gateway.asked, charges()) == ("succeeded", 2, [(6700,)])


async def test_runs_of_one_order_at_once_charge_and_ship_it_once(work: Work) -> None:
    """One does each step; another finds it done, or fails as busy and undoes nothing of it."""
    runs = await asyncio.gather(*(fulfilled(work, order_id="one") for _ in range(5)))

    others = {(run.error or {}).get("code") for run in runs if str(run.state) != "succeeded"}
    assert any(str(run.state) == "succeeded" for run in runs)
    assert others <= {"order-busy", "out-of-turn"}
    assert charges() == [(6700,)]
    assert len(rows("SELECT * FROM shipments")) == 1
    assert rows("SELECT state FROM orders") == [("shipped",)]
    assert rows("SELECT sku, level - units FROM stock WHERE region = 'us'") == [
        ("cable", 2),
        ("desk", 0),
        ("lamp", 1),
    ]


async def test_what_another_run_did_is_not_undone(work: Work) -> None:
    """A second run of a reserved order fails, and leaves the first one's reservation."""
    await done(work, "validate", order_id="held")
    first = await done(work, "reserve", order_id="held")

    run = await fulfilled(work, order_id="held", fail_at="charge")

    results: Any = run.results
    assert (first["status"], results["reserve"]["status"]) == ("reserved", "already-reserved")
    assert results["undo:reserve"] == {"status": "kept", "order_id": "held"}
    assert rows("SELECT key FROM reservations") == [(first["reservation"],)]


async def test_an_order_of_that_id_with_other_content_is_refused(work: Work) -> None:
    """Silence about a field is no difference."""
    await done(work, "validate", order_id="same", region="eu", items=[{"sku": "desk"}])

    assert (await done(work, "validate", order_id="same"))["items"] == {"desk": 1}
    assert await done(work, "validate", order_id="same", region="us") == "order-differs"
    assert await done(work, "validate", order_id="same", items=[{"sku": "lamp"}]) == "order-differs"


@pytest.mark.parametrize(
    ("task", "payload", "code"),
    [
        ("charge", {"order_id": "nobody"}, "not-found"),
        ("charge", {"order_id": "new"}, "out-of-turn"),
        ("ship", {"order_id": "new"}, "out-of-turn"),
        ("notify", {"order_id": "new"}, "out-of-turn"),
        ("validate", {"regoin": "us"}, "invalid-payload"),
        ("validate", {"order_id": "a b"}, "invalid-payload"),
        ("validate", {"items": []}, "invalid-payload"),
        ("validate", {"region": "mars"}, "not-found"),
        ("validate", {"items": [{"sku": "lampp"}]}, "not-found"),
        ("release", {"order_id": "new"}, "invalid-payload"),
        ("count-stock", {"region": 7}, "invalid-payload"),
    ],
)
async def test_a_task_refuses_what_it_cannot_do(
    work: Work, task: str, payload: dict[str, Any], code: str
) -> None:
    """By a code of its own, before anything is written."""
    await done(work, "validate", order_id="new")

    assert await done(work, task, **payload) == code
    assert rows("SELECT order_id, state FROM orders") == [("new", "placed")]


async def test_an_order_without_id_is_a_new_one_each_time(work: Work) -> None:
    """Named after its run, so that a resumed run finds it."""
    first, second = await fulfilled(work), await fulfilled(work)

    assert {str(run.state) for run in (first, second)} == {"succeeded"}
    assert len(rows("SELECT order_id FROM orders")) == 2


async def test_the_desk_tells_of_orders_and_the_quote_of_prices(work: Work) -> None:
    """A quote reserves nothing."""
    await done(work, "validate", order_id="waiting", region="apac")
    quote = await work.runtime.actions.execute(
        "order.quote", {"region": "apac", "items": [{"sku": "desk", "quantity": 2}]}
    )
    async with work.runtime.lifecycle.use("service:order-desk") as desk:
        order, waiting = await desk.order("waiting"), await desk.open_orders()

    assert quote == {"amount_cents": 49_800, "in_stock": False, "missing": {"desk": 2}}
    assert (order["state"], order["payments"], waiting) == ("placed", [], ["waiting"])
    assert rows("SELECT * FROM reservations") == []
