"""`automation.trigger`: conditions that hold, and rules that stop."""

from typing import Any

import pytest

from tests.actions.conftest import Act

KEY = "automation.trigger"
CONTEXT = {
    "n": 5,
    "flag": True,
    "name": "deploy-7",
    "tags": ["a", 1],
    "deep": {"list": [{"x": None}]},
    "a.b": 1,
}


def rule(name: str, *conditions: tuple[str, str, Any], **more: Any) -> dict[str, Any]:
    told = [dict(zip(("field", "operator", "value"), each, strict=True)) for each in conditions]
    return {"name": name, "action": "workflow.notify", "conditions": told, **more}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (("n", "eq", 5.0), True),
        (("flag", "eq", 1), False),
        (("flag", "ne", 1), True),
        (("n", "gt", 4), True),
        (("n", "gte", 5), True),
        (("n", "lt", 5), False),
        (("n", "lte", "5"), False),
        (("flag", "gt", 0), False),
        (("name", "gt", "a"), True),
        (("name", "starts_with", "deploy"), True),
        (("name", "ends_with", "8"), False),
        (("n", "starts_with", "5"), False),
        (("name", "contains", "ploy"), True),
        (("tags", "contains", 1.0), True),
        (("tags", "contains", True), False),
        (("deep", "contains", "list"), True),
        (("n", "in", [1, 5]), True),
        (("n", "in", 5), False),
        (("n", "not_in", [1]), True),
        (("deep.list.0.x", "exists", None), True),
        (("deep.list.0.x", "eq", None), True),
        (("deep.list.1", "exists", None), False),
        (("deep.list.99999999999999999999", "missing", None), True),
        (("ghost", "eq", None), False),
        (("ghost", "ne", 1), True),
        (("a.b", "eq", 1), True),
    ],
)
async def test_a_condition_compares_as_json(
    act: Act, condition: tuple[str, str, Any], *, holds: bool
) -> None:
    """Values of different types are never equal, and have no order."""
    found = await act(KEY, context=CONTEXT, rules=[rule("r", condition)])

    assert found["status"] == ("matched" if holds else "no-match")
    assert found["evaluated_rules"] == [
        {"name": "r", "matched": holds, "failed": [] if holds else [condition[0]]}
    ]


async def test_rules_are_tried_in_order_until_one_stops(act: Act) -> None:
    """What matches names its action and payload; nothing after a stop is tried."""
    rules = [
        rule("no", ("n", "eq", 6)),
        rule("yes", ("n", "eq", 5), payload={"message": "hi"}),
        rule("always", stop_on_match=True),
        rule("never"),
    ]
    found = await act(KEY, context=CONTEXT, rules=rules)

    assert found["matched_rules"] == [
        {"name": "yes", "action": "workflow.notify", "payload": {"message": "hi"}},
        {"name": "always", "action": "workflow.notify", "payload": {}},
    ]
    assert [each["name"] for each in found["evaluated_rules"]] == ["no", "yes", "always"]
