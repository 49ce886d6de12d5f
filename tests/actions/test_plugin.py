"""The seventeen actions as data: complete, and cheap to list."""

import json
import subprocess
import sys

import pytest
from pydantic import BaseModel

from oneiric.actions.plugin import PLUGIN
from oneiric.domains import ActionBridge

KEYS = [
    "automation.trigger",
    "compression.encode",
    "compression.hash",
    "data.sanitize",
    "data.transform",
    "debug.console",
    "event.dispatch",
    "http.fetch",
    "security.secure",
    "security.signature",
    "serialization.encode",
    "task.schedule",
    "validation.schema",
    "workflow.audit",
    "workflow.notify",
    "workflow.orchestrate",
    "workflow.retry",
]


def test_the_kits_are_those_of_the_reference(bridge: ActionBridge) -> None:
    """By their keys, each from a provider of its own."""
    assert bridge.keys() == KEYS
    assert len({candidate.provider for candidate in PLUGIN.candidates}) == len(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_each_has_schemas_and_says_what_it_does(bridge: ActionBridge, key: str) -> None:
    """Of payload and result, as JSON; unknown fields are refused by both."""
    told = bridge.describe(key)

    document = json.loads(json.dumps(told.as_json()))
    assert document["payload"]["additionalProperties"] is False
    assert document["result"]["additionalProperties"] is False
    assert document["summary"].endswith(".")
    assert told.payload is not None
    assert issubclass(told.payload, BaseModel)


def test_listing_imports_no_action_and_no_library_of_one() -> None:
    """The offers are text until somebody calls."""
    program = (
        "import sys; from oneiric.actions.plugin import PLUGIN; "
        "print(*[m for m in sys.modules if m.split('.')[0] in ('cronsim', 'lzma', 'bz2', "
        "'aiohttp', 'zoneinfo') or m.startswith('oneiric.actions.') or m == 'pydantic'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["oneiric.actions.plugin"]
