"""The bridge to actions: what it takes, what it gives back, and what it makes of failures."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from oneiric.core.candidate import Candidate
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.domains import ALL, ActionBridge, InvalidPayloadError
from oneiric.errors import (
    ComponentError,
    InvalidError,
    JSONValue,
    NoCandidateError,
    UnavailableError,
)


class Add(BaseModel):
    one: int
    other: int = 1


class Sum(BaseModel):
    sum: int


class Adder:
    """Add two numbers."""

    payload: ClassVar[type[BaseModel]] = Add
    result: ClassVar[type[BaseModel]] = Sum

    async def execute(self, payload: Add) -> dict[str, int]:
        return {"sum": payload.one + payload.other}


class Echo:
    """Give back what came, whatever it is."""

    def execute(self, payload: Any) -> Any:
        return payload


class Odd:
    """Do what the payload says."""

    async def execute(self, payload: Any) -> Any:
        match payload:
            case "fail":
                raise KeyError("gone")
            case "refuse":
                raise InvalidError("not this")
            case "hang":
                await asyncio.sleep(60)
        return {"deep": [object()]}


class Liar(Adder):
    """Promise a sum, and give none."""

    async def execute(self, payload: Add) -> Any:
        return {"sum": "many"}


class Thread:
    """Tell on which thread it ran."""

    def execute(self, payload: Any) -> str:
        return threading.current_thread().name


class Nothing:
    """Have no `execute`."""


@pytest.fixture
async def actions() -> AsyncIterator[ActionBridge]:
    """A bridge to the actions above."""
    resolver = Resolver()
    for kind in (Adder, Echo, Odd, Liar, Thread, Nothing):
        resolver.register(Candidate(f"action:{kind.__name__.lower()}", "own", kind))
    resolver.register(
        Candidate("action:thread", "busy", Thread, blocking=True, capabilities=["slow"])
    )
    async with LifecycleManager(resolver) as lifecycle:
        yield ActionBridge(ALL["action"], lifecycle)


async def test_a_payload_is_checked_and_the_result_is_plain(actions: ActionBridge) -> None:
    """The model's defaults are filled in, and its result is checked."""
    assert await actions.execute("adder", {"one": 2}) == {"sum": 3}


async def test_all_problems_of_a_payload_are_told_and_no_value(actions: ActionBridge) -> None:
    """Unknown, missing and wrong keys at once; what is no object or no JSON too."""
    with pytest.raises(InvalidPayloadError) as caught:
        await actions.execute("adder", {"other": "s3cret", "nother": 1})

    assert caught.value.exit_code == 2
    assert [(each.key, each.what) for each in caught.value.problems] == [
        ("payload.nother", "unknown key; did you mean other?"),
        ("payload.one", "it is required"),
        (
            "payload.other",
            "Input should be a valid integer, unable to parse string as an integer",
        ),
    ]
    assert "s3cret" not in str(caught.value.as_json())
    with pytest.raises(InvalidPayloadError, match="payload: it must be an object"):
        await actions.execute("adder", [1])
    with pytest.raises(InvalidPayloadError, match=r"payload\.a\.1: float|payload\.a\.1: NaN"):
        await actions.execute("adder", {"a": [1, float("nan")]})


async def test_an_action_without_models_takes_and_gives_any_json(actions: ActionBridge) -> None:
    """A plain class with `execute`, sync or async, is an action."""
    values: list[JSONValue] = [None, 1, "x", [1, {"a": None}]]
    for value in values:
        assert await actions.execute("echo", value) == value


@pytest.mark.parametrize(
    ("key", "payload", "told"),
    [
        ("odd", "fail", "action:odd@own failed in execute: KeyError: 'gone'"),
        ("odd", "", r"action:odd@own failed in result: result\.deep\.0: object is not JSON"),
        ("liar", {"one": 1}, r"action:liar@own failed in result: result\.sum: Input should be"),
        ("nothing", None, "action:nothing@own failed in execute: it has no method execute"),
    ],
)
async def test_what_fails_names_the_offer_and_the_reason(
    actions: ActionBridge, key: str, payload: Any, told: str
) -> None:
    """An exception, a result that is no JSON or not what was promised, and no `execute`."""
    with pytest.raises(ComponentError, match=told):
        await actions.execute(key, payload)


async def test_an_error_raised_on_purpose_stays_what_it_is(actions: ActionBridge) -> None:
    """And what takes too long is ended and told."""
    with pytest.raises(InvalidError, match="not this"):
        await actions.execute("odd", "refuse")
    with pytest.raises(UnavailableError, match=r"action:odd@own took longer than 0\.05 s"):
        await actions.execute("odd", "hang", limit=0.05)


async def test_blocking_code_runs_in_a_thread(actions: ActionBridge) -> None:
    """Where the offer says that it blocks; the provider may be asked for."""
    assert await actions.execute("thread", None, provider="own") == "MainThread"
    assert await actions.execute("thread@busy", None) == "oneiric-blocking"


def test_a_description_brings_nothing_up(actions: ActionBridge) -> None:
    """Schemas where there are models, none where there are not; unknown keys are told."""
    adder, echo = actions.describe("adder").as_json(), actions.describe("echo").as_json()

    assert (adder["schema"], adder["ref"], adder["provider"], adder["summary"]) == (
        "oneiric.action/1",
        "action:adder",
        "own",
        "Add two numbers.",
    )
    assert adder["payload"] == Add.model_json_schema()
    assert (echo["payload"], echo["result"]) == (None, None)
    assert actions.describe("thread", provider="busy").as_json()["capabilities"] == ["slow"]
    assert actions.lifecycle.status("action:adder").state == "inactive"
    with pytest.raises(NoCandidateError):
        actions.describe("adderr")


def test_a_factory_that_cannot_be_imported_is_told(actions: ActionBridge) -> None:
    """By its offer, without a traceback of the import."""
    actions.lifecycle.resolver.register(
        Candidate("action:ghost", "own", "oneiric.actions.no_such_file:Ghost")
    )
    with pytest.raises(ComponentError, match="action:ghost@own failed in create"):
        actions.describe("ghost")
