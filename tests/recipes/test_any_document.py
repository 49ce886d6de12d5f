"""Whatever a file holds, it is a recipe or refused as one."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneiric.errors import DocumentError, JSONValue
from oneiric.recipes import RecipeError
from oneiric.recipes.compiling import compile_recipe
from oneiric.recipes.errors import RecipeRefusedError
from oneiric.recipes.reading import read_recipe
from oneiric.recipes.recipe import RecipeSpec
from tests.recipes.conftest import Desk
from tests.recipes.doors import compiled

names = st.sampled_from(["a", "b", "name", "x y", "", "steps", "${{ inputs.a }}", "ä", "../x", "/"])
scalars: st.SearchStrategy[JSONValue] = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | names
)
keys = names | st.sampled_from(
    [
        *RecipeSpec.model_fields,
        "finally",
        "type",
        "module",
        "function",
        "args",
        "matrix",
        "exclude",
        "needs",
        "if",
        "run",
        "url",
        "success",
        "ctx_match",
        "cache",
        "retry",
        "default",
        "choices",
        "pattern",
    ]
)
anything = st.recursive(
    scalars | st.sampled_from(["python", "shell", "approve", "30s", "always", "a.b", "(", "1d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
fields = st.dictionaries(keys, anything, max_size=5)
documents = st.fixed_dictionaries(
    {"steps": st.lists(fields | st.builds(lambda more: {"name": "a", **more}, fields), max_size=4)},
    optional={
        "version": st.sampled_from([1, 2, 3, "2", True]),
        "inputs": st.dictionaries(names, fields, max_size=2),
        "finally": st.lists(fields, max_size=2),
        "allow": fields,
        "env": st.dictionaries(names, scalars, max_size=2),
        "": anything,
        "a.b": anything,
    },
)


SOUND = """
{"version": 2, "inputs": {"a": {"type": "int", "default": 3, "min": 1, "choices": [3, 4]}},
 "env": {"b": "x"}, "secrets": ["a"], "allow": {"modules": ["*"], "paths": ["."]},
 "steps": [
  {"name": "a", "type": "shell", "run": ["${{ inputs.a }}"], "outputs": ["a_v1"]},
  {"name": "b", "needs": ["a"], "module": "steps", "function": "Write",
   "matrix": {"a": [1, 2], "exclude": [{"a": 1}]}, "args": {"x": "${{ matrix.a }}"}},
  {"name": "x", "type": "http", "url": "http://x", "if": "${{ steps.a.output.b > 1 }}",
   "success": {"ctx_match": [{"key": "a", "matches": "a+"}]}, "needs": ["b"]}],
 "finally": [{"name": "steps", "type": "shell", "run": ["ls"]}]}
"""


def changed(changes: list[tuple[list[int], str, JSONValue]]) -> JSONValue:
    """Return a recipe in which some fields were changed; a way leads to the table of each."""
    document: dict[str, JSONValue] = json.loads(SOUND)
    for way, key, value in changes:
        table: dict[str, JSONValue] = document
        for turn in way:
            inner = [each for each in table.values() if isinstance(each, dict)]
            rows = [each for each in table.values() if isinstance(each, list)]
            inner += [each for row in rows for each in row if isinstance(each, dict)]
            table = inner[turn % len(inner)] if inner else table
        table[key] = value
    return document


changes = st.lists(
    st.tuples(st.lists(st.integers(0, 9), max_size=3), keys, anything), min_size=1, max_size=3
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=150,
)
@given(document=st.builds(changed, changes) | documents | anything)
def test_any_document_is_a_recipe_or_refused_by_our_errors(desk: Desk, document: JSONValue) -> None:
    """And whatever is told of it has a line."""
    path = desk.write("r.json", json.dumps(document))
    try:
        found = compiled(path)
    except (RecipeError, RecipeRefusedError) as error:
        lines = [int(each.origin.rpartition(":")[2]) for each in error.problems]
    except DocumentError:
        return
    else:
        assert compile_recipe(read_recipe(path)).plan == found.plan
        lines = [1]
    assert min(lines) >= 1
