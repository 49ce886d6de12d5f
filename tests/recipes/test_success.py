"""What must hold after a step: each thing that does not is told, with what was found."""

from __future__ import annotations

import pytest

from oneiric.recipes import Context, RecipeFailedError, run_recipe
from oneiric.recipes.reading import read_recipe
from oneiric.recipes.success import unmet
from tests.recipes.conftest import Desk

VALUES = {"a.stats_v1": {"count": 3, "names": ["x", "y"], "ok": True, "text": "abc"}}


def told(desk: Desk, **success: object) -> list[str]:
    """Return what is unmet of *success*, in a context with some values."""
    path = desk.write("any.yaml", "steps: [{name: a, module: steps, function: Write}]")
    return unmet(success, Context(VALUES), read_recipe(path))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"path": "count", "eq": 3}, []),
        ({"path": "count", "eq": 4}, ["a.stats_v1.count is 3, not 4"]),
        ({"path": "count", "gt": 2, "le": 3}, []),
        ({"path": "count", "gt": 3, "lt": 3}, [
            "a.stats_v1.count is 3, not above 3",
            "a.stats_v1.count is 3, not below 3",
        ]),
        ({"path": "ok", "eq": 1}, ["a.stats_v1.ok is true, not 1"]),
        ({"path": "ok", "ge": 1}, ["a.stats_v1.ok is true, no number"]),
        ({"path": "count", "ne": 3}, ["a.stats_v1.count is 3, not anything but 3"]),
        ({"path": "count", "in_": [1, 2]}, ["a.stats_v1.count is 3, none of [1,2]"]),
        ({"path": "names", "contains": "z"}, ['a.stats_v1.names is ["x","y"], without "z"']),
        ({"path": "names.1", "matches": "^y$"}, []),
        ({"path": "text", "matches": "d"}, ['a.stats_v1.text is "abc", no text that matches d']),
        ({"path": "none", "exists": False}, []),
        ({"path": "text", "exists": False}, ["a.stats_v1.text should not be there"]),
        ({"path": "names.2", "eq": "z"}, ["there is no a.stats_v1.names.2"]),
        ({"path": "text.2", "exists": True}, ["a.stats_v1.text.2 should be there"]),
        ({"path": "ok", "eq": None}, ["a.stats_v1.ok is true, not null"]),
    ],
)  # fmt: skip
def test_a_value_is_compared_as_json(
    desk: Desk, match: dict[str, object], expected: list[str]
) -> None:
    """Whatever does not hold is told with what was found."""
    assert told(desk, ctx_match=[{"key": "a.stats_v1", **match}]) == expected


def test_a_value_is_held_to_a_schema(desk: Desk) -> None:
    """Every misfit has its place; a word that is not known passes nothing."""
    desk.write("s.json", '{"required": ["n"], "properties": {"count": {"maximum": 2}}}')
    desk.write("odd.json", '{"contentMediaType": "text/html"}')
    assert told(desk, json_schema={"a.stats_v1": "s.json"}) == [
        "a.stats_v1 has no n",
        "a.stats_v1.count is above 2",
    ]
    (odd,) = told(desk, json_schema={"a.stats_v1": "odd.json"})
    assert odd.startswith("the schema odd.json cannot be used: the schema says contentMediaType")
    assert told(desk, json_schema={"b_v1": "s.json"}) == ["the context has no b_v1"]


def test_all_that_is_unmet_is_told_at_once(desk: Desk) -> None:
    """One run shows every assertion that does not hold."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - name: write
            module: steps
            function: Write
            args: {key: a.n_v1, value: 3}
            success:
              ctx_has_keys: [b.n_v1]
              ctx_match: [{key: a.n_v1, gt: 3}, {key: a.n_v1, in: [1, 2]}]
              files_exist: [out.txt]
        """,
    )
    with pytest.raises(RecipeFailedError) as raised:
        run_recipe(path, checkpoints=False)
    for what in (
        "the context has no b.n_v1",
        "a.n_v1 is 3, not above 3",
        "a.n_v1 is 3, none of [1,2]",
        "there is no file out.txt",
    ):
        assert what in str(raised.value)


@pytest.mark.parametrize(
    "schema",
    [
        '{"properties": {"count": {"minimum": "x"}}}',
        '{"type": [["x"]]}',
        '{"properties": [1]}',
        '{"properties": {"text": {"pattern": "("}}}',
        '{"anyOf": 3}',
    ],
)
def test_a_schema_whose_words_say_nonsense_is_told_as_such(desk: Desk, schema: str) -> None:
    """By its name; it lets nothing pass."""
    desk.write("s.json", schema)
    (what,) = told(desk, json_schema={"a.stats_v1": "s.json"})
    assert what.startswith("the schema s.json cannot be used: ")


def test_a_pattern_that_shows_only_in_a_run_is_told_if_it_is_none(desk: Desk) -> None:
    """It comes from an input."""
    path = desk.write(
        "r.yaml",
        """
        inputs: {p: {}}
        steps:
          - name: w
            module: steps
            function: Write
            args: {key: a.n_v1, value: abc}
            success: {ctx_match: [{key: a.n_v1, matches: "${{ inputs.p }}"}]}
        """,
    )
    with pytest.raises(RecipeFailedError, match="is no regular expression"):
        run_recipe(path, {"p": "("}, checkpoints=False)
