"""`docs/reference/json.md` shows what the code writes."""

import asyncio
import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.plugin import Plugin
from oneiric.core.precedence import Selection, StackOrder
from oneiric.core.resolver import Assumption, Resolver
from oneiric.demo import StoryReport
from oneiric.domains import ALL, ActionBridge
from oneiric.domains.events import Event, EventBridge
from oneiric.errors import JSONValue, OneiricError
from oneiric.runtime import Operator
from oneiric.runtime.answers import ActionAnswer
from oneiric.runtime.event_answers import (
    Emission,
    HandlerListing,
    LetterListing,
    ReplayAnswer,
)
from oneiric.stores.activity import DrainAnswer, Follower
from oneiric.testing import ManualClock
from oneiric.web.health import health_check
from tests.docs.control_documents import control_documents
from tests.docs.notification_documents import notification_documents
from tests.docs.publishing_documents import publishing_documents
from tests.docs.recipe_documents import recipe_documents
from tests.docs.remote_documents import remote_documents
from tests.docs.run_documents import run_documents
from tests.docs.secret_documents import secret_documents
from tests.docs.serving_documents import serving_documents
from tests.docs.supervision_documents import supervision_documents
from tests.docs.telemetry_documents import telemetry_documents
from tests.docs.validation_documents import validation_documents
from tests.docs.work_documents import work_documents

CODE = Path(__file__).parents[2] / "oneiric"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
SIGNED = (PAGE.with_name("manifests.md"), PAGE.with_name("ledger.md"))
CACHE = "adapter:cache"
_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\| `([a-z_.\[\]]+)` \| ([a-z ]+) \|", re.MULTILINE)
TABLES = ("sources", "calls")
TYPES = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}


class Bad:
    """A component that does not come up."""

    def init(self) -> None:
        raise ConnectionError("connection refused")


class Greeted(BaseModel):
    name: str


class Greet:
    """Greet somebody."""

    payload = Greeted

    def execute(self, payload: Greeted) -> str:
        """Return the greeting."""
        return f"hello {payload.name}"


async def action_documents() -> dict[str, Any]:
    """Return the documents about an action."""
    offers = Resolver()
    offers.register(Candidate("action:greet", "plain", Greet, capabilities=["polite"]))
    async with LifecycleManager(offers) as lifecycle:
        bridge = ActionBridge(ALL["action"], lifecycle)
        result = await bridge.execute("greet", {"name": "Ann"})
    return {
        "Action": bridge.describe("greet").as_json(),
        "Action result": ActionAnswer("action:greet", "plain", result).as_json(),
    }


class Keeper:
    """A handler that counts."""

    def handle(self, event: Event) -> int:
        return len(event.data)


def resolver() -> Resolver:
    """Return the offers that every example of the page is about."""
    resolver = Resolver()
    plugin = Source(SourceKind.PLUGIN, "acme-cache", version="2.1")
    resolver.register(Candidate(CACHE, "memory", dict, priority=10, capabilities=["ttl"]))
    resolver.register(Candidate(CACHE, "redis", Bad, source=plugin, version="2.1"))
    resolver.register(Candidate(CACHE, "tape", dict, unavailable="install oneiric[tape]"))
    resolver.configure(
        stacks=StackOrder.parse("base,acme-cache", origin="ONEIRIC_STACK_ORDER"),
        selections=[Selection.of(CACHE, "redis", origin="oneiric.toml:7")],
    )
    resolver.select(Selection.of(CACHE, "memory", origin="swap"))
    return resolver


def answers(folder: Path) -> dict[str, Any]:
    """Return what the commands answer in a folder with a selection and an earlier swap.

    The status is of later, when the file has come to say something else.
    """
    text = "[plugins]\nauto_load = false\n[services.selections]\nmailer = 'outbox'\n"
    file = folder / "oneiric.toml"
    file.write_text(text)
    mailers = [Candidate("service:mailer", name, dict) for name in ("outbox", "digest")]
    offers = (Plugin(mailers),)
    with contextlib.chdir(folder):
        Operator(plugins=offers).swap("mailer", provider="digest")
        operator = Operator(plugins=offers)
        listing = operator.list(domain="service")
        file.write_text(text.replace("outbox", "digest"))
        return {
            "List": listing.as_json(),
            "Status": Operator(plugins=offers).status(domain="service").as_json(),
            "Swap request": operator.swap("mailer", clear=True).as_json(),
            **activity(offers),
            "Plugins": operator.plugins().as_json(),
            "Settings": operator.settings(sources=True).as_json(),
        }


def activity(offers: tuple[Plugin, ...]) -> dict[str, Any]:
    """Return what the commands answer about a drain that one process has answered."""
    operator = Operator(plugins=offers)
    mailer, store = operator.ref("mailer"), operator.orchestrator.activity.store
    change = operator.drain(mailer, note="new certificate", actor="ada")
    answer = DrainAnswer(mailer, "one", 1, ("task worker-3 at send:12",), "")
    store.answer(Follower("one", os.getpid()), answer)
    listing = operator.activity(domain="service")
    return {"Activity": listing.as_json(), "Activity change": change.as_json()}


async def story() -> Any:
    """Return a report of the demonstration, of real swaps."""
    offers = resolver()
    async with LifecycleManager(offers) as lifecycle, lifecycle.use(CACHE):
        fault = await lifecycle.swap(CACHE, provider="redis")
        report = StoryReport(
            sources={"code": 1, "plugin:acme-cache 2.1": 1},
            words=9876,
            decision=offers.explain(CACHE),
            swaps=[await lifecycle.swap(CACHE)],
            faults=[fault],
            calls=Counter(memory=54321),
            failures=["memory gave None for caller-0:word, not ['word', 0]"],
            latency=lifecycle.status(CACHE).swaps,
            closed=True,
            seconds=3.6,
        )
    return report.as_json()


async def documents(folder: Path) -> dict[str, Any]:
    """Return one real document for each section of the page."""
    offers = resolver()
    clear = Assumption(unselect=(CACHE,))
    async with LifecycleManager(offers) as lifecycle, lifecycle.use(CACHE):
        report = await lifecycle.swap(CACHE, provider="redis")
        status = lifecycle.status(CACHE)
    with pytest.raises(OneiricError) as caught:
        offers.resolve(CACHE, needs=["cluster"], provider="memory")
    real = {
        "Decision": offers.explain(CACHE).as_json(),
        "Decision difference": offers.preview(clear)[0].as_json(),
        "Swap report": report.as_json(),
        "Component status": status.as_json(),
        "Error": caught.value.as_json(),
        **await action_documents(),
        **await event_documents(),
        **await asyncio.to_thread(answers, folder),
        **await asyncio.to_thread(publishing_documents),
        "Demonstration": await story(),
        **notification_documents(),
        **await asyncio.to_thread(telemetry_documents, folder / "telemetry"),
        **run_documents(),
        **serving_documents(),
        **recipe_documents(),
        **validation_documents(),
        **await remote_documents(folder / "remote"),
        **await secret_documents(folder / "secrets"),
        **work_documents(),
        **await supervision_documents(folder / "supervised"),
        **control_documents(),
        "Health check": health_check(["the orchestrator is not ready yet"]),
    }
    return {title: json.loads(json.dumps(document)) for title, document in real.items()}


async def event_documents() -> dict[str, Any]:
    """Return the documents about an event that one handler handled and one did not."""
    offers, clock = Resolver(), ManualClock()
    tidy: dict[str, JSONValue] = {
        "event_topics": ["order.*"],
        "event_filters": [{"path": "payload.order_id", "exists": True}],
    }
    offers.register(Candidate("event:mail", "p", Bad))
    offers.register(Candidate("event:orders", "p", Keeper, metadata=tidy))
    offers.register(Candidate("event:wrong", "p", Keeper, metadata={"event_topic": "order.*"}))
    async with LifecycleManager(offers, clock=clock) as lifecycle:
        events = EventBridge(ALL["event"], lifecycle)
        event = Event.of("order.created", {"order_id": "a-1"}, clock=clock)
        results = tuple(await events.dispatch(event))
        letters = LetterListing(tuple(await events.letters()))
        return {
            "Event emission": Emission(event, len(results), results).as_json(),
            "Event handlers": HandlerListing(events.handlers(), events.problems).as_json(),
            "Dead letters": letters.as_json(),
            "Replay of dead letters": ReplayAnswer(tuple(await events.replay())).as_json(),
        }


def sections() -> dict[str, str]:
    """Return the text of each section of the page."""
    return dict(_SECTION.findall(PAGE.read_text(encoding="utf-8")))


def fields(value: object, path: str = "") -> set[str]:
    """Return the dotted names of all fields; those of a list's members as `name[]`.

    A document within another has a section of its own, and tables by name have no fields.
    """
    found: set[str] = set()
    if path in TABLES or (path and isinstance(value, dict) and "schema" in value):
        return found
    if isinstance(value, dict):
        for name, inner in value.items():
            here = f"{path}.{name}" if path else name
            found |= {here} | fields(inner, here)
    elif isinstance(value, list):
        for inner in value:
            found |= fields(inner, f"{path}[]")
    return found


def typed(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Give each dotted name of a field with the type of its value, as often as it occurs."""
    if isinstance(value, dict) and path not in TABLES and not (path and "schema" in value):
        for name, inner in value.items():
            here = f"{path}.{name}" if path else name
            yield here, TYPES[type(inner)]
            yield from typed(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from typed(inner, f"{path}[]")


async def test_every_example_has_the_fields_that_the_code_writes(tmp_path: Path) -> None:
    """The example of each section names exactly the fields of the real document."""
    real = await documents(tmp_path)

    shown = {title: json.loads(_EXAMPLE.findall(text)[0]) for title, text in sections().items()}

    assert {title: fields(document) for title, document in shown.items()} == {
        title: fields(document) for title, document in real.items()
    }


async def test_examples_without_measured_numbers_are_real_to_the_letter(tmp_path: Path) -> None:
    """Where nothing is measured and nothing is the machine's, the page shows it as written."""
    real = await documents(tmp_path)
    exact = {
        "Decision",
        "Decision difference",
        "Action",
        "Action result",
        "Event handlers",
        "Dead letters",
        "Error",
        "Supervised services",
        "Health check",
        *notification_documents(),
        *run_documents(),
        *serving_documents(),
        *work_documents(),
        *control_documents(),
        *validation_documents(),
        *await asyncio.to_thread(publishing_documents),
    }

    shown = {title: json.loads(_EXAMPLE.findall(sections()[title])[0]) for title in exact}

    assert shown == {title: real[title] for title in exact}


async def test_every_field_is_explained(tmp_path: Path) -> None:
    """The table of each section explains the document's own fields, with their types."""
    real = await documents(tmp_path)

    explained = {title: dict(_FIELD.findall(text)) for title, text in sections().items()}

    for title, document in real.items():
        inner = {name for name in explained[title] if "." in name or "[" in name}
        assert set(explained[title]) - inner == set(document), title
        assert inner <= fields(document), title
        for name, kind in typed(document):
            if explained[title].get(name, "any") != "any":
                assert kind in explained[title][name].split(" or "), f"{title}: {name}"


def test_every_schema_of_the_code_is_on_a_page() -> None:
    """A document that names its schema has a section, what is signed a page of its own."""
    code = "".join(path.read_text("utf-8") for path in sorted(CODE.rglob("*.py")))
    written = set(re.findall(r'"(oneiric\.[a-z-]+/\d+)"', code))

    shown = {json.loads(_EXAMPLE.findall(text)[0]).get("schema") for text in sections().values()}
    pages = "".join(page.read_text("utf-8") for page in SIGNED)
    signed = set(re.findall(r'"schema": "(oneiric\.[a-z-]+/\d+)"', pages))

    assert shown | signed == written | {None}
    assert shown.isdisjoint(signed)
