"""`docs/reference/json.md` shows what the code writes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.precedence import Selection, StackOrder
from oneiric.core.resolver import Assumption, Resolver
from oneiric.errors import OneiricError
from tests.docs.run_documents import run_documents

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
CACHE = "adapter:cache"
_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\| `([a-z_.\[\]]+)` \|", re.MULTILINE)


class Bad:
    """A component that does not come up."""

    def init(self) -> None:
        raise ConnectionError("connection refused")


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


async def documents() -> dict[str, Any]:
    """Return one real document for each section of the page."""
    offers = resolver()
    clear = Assumption(unselect=(CACHE,))
    async with LifecycleManager(offers) as lifecycle, lifecycle.use(CACHE):
        report = await lifecycle.swap(CACHE, provider="redis")
        status = lifecycle.status(CACHE)
    with pytest.raises(OneiricError) as caught:
        offers.resolve(CACHE, needs=["cluster"], provider="memory")
    return {
        "Decision": offers.explain(CACHE).as_json(),
        "Decision difference": offers.preview(clear)[0].as_json(),
        "Swap report": report.as_json(),
        "Component status": status.as_json(),
        "Error": caught.value.as_json(),
        **run_documents(),
    }


def sections() -> dict[str, str]:
    """Return the text of each section of the page."""
    return dict(_SECTION.findall(PAGE.read_text(encoding="utf-8")))


def fields(value: object, path: str = "") -> set[str]:
    """Return the dotted names of all fields; those of a list's members as `name[]`."""
    found: set[str] = set()
    if isinstance(value, dict):
        for name, inner in value.items():
            here = f"{path}.{name}" if path else name
            found |= {here} | fields(inner, here)
    elif isinstance(value, list):
        for inner in value:
            found |= fields(inner, f"{path}[]")
    return found


async def test_every_example_has_the_fields_that_the_code_writes() -> None:
    """The example of each section names exactly the fields of the real document."""
    real = await documents()

    shown = {title: json.loads(_EXAMPLE.findall(text)[0]) for title, text in sections().items()}

    assert {title: fields(document) for title, document in shown.items()} == {
        title: fields(document) for title, document in real.items()
    }


async def test_examples_without_measured_numbers_are_real_to_the_letter() -> None:
    """Decisions, differences, errors and runs are shown as the code writes them."""
    real = await documents()
    exact = ("Decision", "Decision difference", "Error", *run_documents())

    shown = {title: json.loads(_EXAMPLE.findall(sections()[title])[0]) for title in exact}

    assert shown == {title: real[title] for title in exact}


async def test_every_field_is_explained() -> None:
    """The table of each section explains the document's own fields, and no other."""
    real = await documents()

    explained = {title: set(_FIELD.findall(text)) for title, text in sections().items()}

    for title, document in real.items():
        inner = {name for name in explained[title] if "." in name or "[" in name}
        assert explained[title] - inner == set(document), title
        assert inner <= fields(document), title
