"""`validation.schema`: types as JSON has them, and every error at once."""

from typing import Any

import pytest

from tests.actions.conftest import Act

KEY = "validation.schema"


def rule(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


async def test_defect_oneiric_z6_true_is_no_number(act: Act) -> None:
    """Neither an integer nor a number, as no number is a boolean."""
    rules = [rule("a", "integer"), rule("b", "float"), rule("c", "bool"), rule("d", "int")]

    found = await act(KEY, data={"a": True, "b": False, "c": 1, "d": 1.0}, fields=rules)

    assert found["status"] == "invalid"
    assert [(each["field"], each["message"]) for each in found["errors"]] == [
        ("a", "it must be integer, not boolean"),
        ("b", "it must be number, not boolean"),
        ("c", "it must be boolean, not integer"),
        ("d", "it must be integer, not number"),
    ]


async def test_defect_oneiric_z6_what_is_empty_is_there(act: Act) -> None:
    """An empty record can be valid, and so can empty text, lists and tables."""
    assert await act(KEY, record={}, fields=[]) == {
        "status": "valid",
        "validated": {},
        "errors": [],
    }
    data = {"s": "", "l": [], "o": {}, "n": 0}
    rules = [rule("s", "string"), rule("l", "list"), rule("o", "dict"), rule("n", "number")]
    assert (await act(KEY, data=data, fields=rules))["validated"] == data


async def test_all_errors_are_told_at_once_or_the_first(act: Act) -> None:
    """Missing, null, of the wrong type, and unknown; values are not repeated."""
    rules = [
        rule("here", "string"),
        rule("gone", "any"),
        rule("null", "string"),
        rule("maybe", "string", required=False),
        rule("nothing", "string", allow_null=True),
    ]
    data = {"here": ["s3cret"], "null": None, "nothing": None, "more": 1}

    found = await act(KEY, data=data, fields=rules, allow_extra=False)
    first = await act(KEY, data=data, fields=rules, allow_extra=False, fail_fast=True)

    assert [(each["field"], each["code"]) for each in found["errors"]] == [
        ("here", "type"),
        ("gone", "missing"),
        ("null", "null"),
        ("more", "extra"),
    ]
    assert (found["validated"], first["errors"]) == (None, found["errors"][:1])
    assert "s3cret" not in str(found)


@pytest.mark.parametrize("value", ["", 1, 1.5, False, {}, [], None])
async def test_any_value_fits_any(act: Act, value: object) -> None:
    """The type `any` asks only that the field is there."""
    found = await act(KEY, data={"a": value}, fields=[rule("a", "any")])

    assert found["status"] == "valid"
