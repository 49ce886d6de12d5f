"""The JSON Schema takes what the reader takes, as far as forms can say."""

from __future__ import annotations

import jsonschema_rs
import pytest

from oneiric.documents import parse
from oneiric.recipes.schema import DIALECT, ID, recipe_schema
from tests.architecture.source import ROOT

VALIDATOR = jsonschema_rs.validator_for(recipe_schema())
STEP = "steps: [{name: a, type: shell, run: [ls], "


def test_it_says_what_it_is_and_describes_every_table() -> None:
    """Draft 2020-12, with an id."""
    schema = recipe_schema()
    assert (schema["$schema"], schema["$id"]) == (DIALECT, ID)
    jsonschema_rs.meta.validate(schema)
    assert all(each["description"] for name, each in schema["$defs"].items() if "Spec" in name)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/examples/recipes").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_every_example_is_valid(path) -> None:  # type: ignore[no-untyped-def]
    """As is every form that it may be written in."""
    assert VALIDATOR.is_valid(parse(path.read_bytes(), "yaml"))


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        (STEP + "timeout: 30s, needs: [b]}]", True),
        (STEP + "timeout: 30, if: always, retry: {max: 3, delay_sec: 1m}}]", True),
        (STEP + "matrix: {n: [1], max_parallel: 2}}]", True),
        ("version: 2\nfinally: []\n" + STEP + "cmd: x}]", True),
        (STEP + "nonsense: 1}]", True),
        ("version: 2\n" + STEP + "nonsense: 1}]", False),
        ("version: 2\nnonsense: 1\n" + STEP + "}]", False),
        ("version: 3\n" + STEP + "}]", False),
        (STEP + "timeout: soon}]", False),
        (STEP + "on_error: ignore}]", False),
        ("steps: []", False),
        ("steps: [{type: shell}]", False),
        ("{}", False),
    ],
)
def test_forms_are_valid_or_not_as_they_are_when_read(text: str, is_valid: bool) -> None:
    """Unknown fields are wrong in version 2 only."""
    assert VALIDATOR.is_valid(parse(text.encode(), "yaml")) is is_valid
