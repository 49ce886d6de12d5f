"""The language of plans and recipes: what it can say, and what it refuses."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.errors import JSONValue
from oneiric.expressions import Condition, ExpressionError, Scope, Template

SCOPE: dict[str, JSONValue] = {
    "input": {"total": 120, "name": "Ada", "tags": ["new", "vip"], "empty": {}, "none": None},
    "steps": {"load": {"output": {"rows": [{"id": 7}, {"id": 8}]}}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-2.5", -2.5),
        ("'a b'", "a b"),
        ("true and null", None),
        ("not False", True),
        ("[1, 'x', input.total]", [1, "x", 120]),
        ("input.total >= 100 and input.name == 'Ada'", True),
        ("input['name'] < 'Bob'", True),
        ("steps.load.output.rows[1].id", 8),
        ("steps.load.output.rows[-1]['id']", 8),
        ("steps['load'].output.rows[len(input.tags) > 5 or 0].id", 7),
        ("'vip' in input.tags and 'nobody' not in input.tags", True),
        ("'total' in input and 'da' in input.name", True),
        ("len(input.tags)", 2),
        ("default(input.missing.deeper, 'x')", "x"),
        ("default(input.none, 3)", 3),
        ("1 == true", False),
        ("[1] == [true]", False),
        ("input.empty == {}", None),
    ],
)
def test_the_language_says(text: str, value: JSONValue) -> None:
    """Each construct has one meaning, that of JSON where JSON has one."""
    if value is None and "{}" in text:
        with pytest.raises(ExpressionError):
            Template.parse("${ %s }" % text)  # noqa: UP031
        return
    found = Template.parse("${" + text + "}").evaluate(SCOPE)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "1 + 1",
        "'a' * 1000000000",
        "2 ** 99",
        "__import__('os')",
        "input.__class__()",
        "open('x')",
        "len(1, 2)",
        "default(x=1)",
        "(lambda: 1)()",
        "[x for x in input]",
        "input[1:2]",
        "f'{input}'",
        "1 < 2 < 3",
        "1 is 1",
        "b'x'",
        "1j",
        "...",
        "'\\x41'",
        "{'a': 1}",
        "*input",
        "a := 1",
        "not " * 30 + "1",
        "(" * 300 + "1" + ")" * 300,
        "[" * 40 + "]" * 40,
        "1" * 2_000,
        "input" + ".a" * 60,
        "x; y",
        "await x",
        "yield",
        "-'a'",
        "--1",
        "9" * 20,
        "1e400",
    ],
)
def test_what_is_not_in_the_language_is_refused(text: str) -> None:
    """No calls into Python, no arithmetic that could grow, no depth; before anything runs."""
    with pytest.raises(ExpressionError):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("input.missing", "input.missing"),
        ("steps.load.output.rows[2].id", "steps.load.output.rows.2"),
        ("steps.load.output.rows.first", "steps.load.output.rows.first"),
        ("input.name.upper", "input.name.upper"),
        ("nothing.at.all", "nothing"),
        ("input.tags[true]", "input.tags.True"),
    ],
)
def test_promise_w4_a_missing_value_names_its_path(text: str, path: str) -> None:
    """Reading what is not there is an error that says which part is missing."""
    with pytest.raises(ExpressionError) as caught:
        Template.parse("${ " + text + " }").evaluate(SCOPE)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "text", ["1 < 'a'", "true < 2", "1 in 2", "len(3)", "null > 1", "[1] < [2]", "1 in 'abc'"]
)
def test_kinds_that_do_not_fit_are_errors(text: str) -> None:
    """What has no order, length or members says so instead of guessing."""
    with pytest.raises(ExpressionError):
        Template.parse("${ " + text + " }").evaluate(SCOPE)


def test_references_are_known_before_anything_runs() -> None:
    """Paths are told as far as they are written out; what is computed ends them."""
    template = Template.parse(
        {
            "a": "${ input.total }",
            "b": ["x ${ steps['load'].output.rows[input.at].id } ${ default(context.k, 1) }"],
        }
    )
    assert template.references == {
        ("input", "total"),
        ("input", "at"),
        ("steps", "load", "output", "rows"),
        ("context", "k"),
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Hello ${ input.name }!", "Hello Ada!"),
        ("${ input.name }${ input.total }", "Ada120"),
        ("rows: ${ steps.load.output.rows }", 'rows: [{"id":7},{"id":8}]'),
        ("$${ input.name } costs $5", "${ input.name } costs $5"),
        ("${ '}' } ${ 'a\\'}' }", "} a'}"),
        ("plain", "plain"),
        ("${input.tags}", ["new", "vip"]),
        ("", ""),
    ],
)
def test_texts_hold_expressions(text: str, value: JSONValue) -> None:
    """One expression alone keeps its type; several are written into the text."""
    assert Template.parse(text).evaluate(SCOPE) == value


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ({"...": "${ input }"}, {"a": 1, "b": {"c": 2}}),
        ({"...": "${ input }", "a": 9}, {"a": 9, "b": {"c": 2}}),
        ({"a": "${ input.b.c }", "...": "${ input }"}, {"a": 2, "b": {"c": 2}}),
        ({"deep": {"...": "${ input.b }", "d": 3}}, {"deep": {"c": 2, "d": 3}}),
        ({"...": {"x": 1}, "y": 2}, {"x": 1, "y": 2}),
    ],
)
def test_a_table_can_be_laid_under_another(value: JSONValue, made: JSONValue) -> None:
    """What the key `...` gives stands where no other key says something else."""
    assert Template.parse(value).evaluate({"input": {"a": 1, "b": {"c": 2}}}) == made


@pytest.mark.parametrize("value", [None, [1], "text", 3])
def test_only_a_table_can_be_laid_under_another(value: JSONValue) -> None:
    """Anything else is an error that names the expression."""
    template = Template.parse({"...": "${ input }", "a": 1})
    assert template.references == {("input",)}
    with pytest.raises(ExpressionError, match=r"\.\.\. takes a table"):
        template.evaluate({"input": value})


def test_recipes_have_marks_of_their_own() -> None:
    """The same language stands between `${{` and `}}`."""
    template = Template.parse("${{ input.name }} ${x}", opening="${{", closing="}}")
    assert template.evaluate(SCOPE) == "Ada ${x}"
    assert Condition.parse("${{ input.total > 1 }}").evaluate(SCOPE)
    assert Condition.parse("${ input.total > 1 }").evaluate(SCOPE)
    assert not Condition.parse("input.empty").evaluate(SCOPE)


def test_an_open_mark_is_an_error() -> None:
    """A mark that never closes is no text by accident."""
    with pytest.raises(ExpressionError):
        Template.parse({"a": ["x ${ input.name"]})


def test_values_can_be_made_when_they_are_asked_for() -> None:
    """A function in the scope is called only by an expression that names it."""
    asked = []

    def costly() -> JSONValue:
        asked.append(1)
        return {"k": 1}

    scope: Scope = {"input": {}, "context": costly}
    assert Template.parse("${ 'x' }").evaluate(scope) == "x"
    assert not asked
    assert Template.parse("${ context.k }").evaluate(scope) == 1


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_json)
def test_any_value_without_marks_is_itself(value: JSONValue) -> None:
    """What holds no expression comes back equal, whatever it is."""
    text = json.dumps(value)
    if "${" not in text:
        assert Template.parse(value).evaluate({}) == value


@given(_json)
def test_any_value_passes_through_a_reference(value: JSONValue) -> None:
    """A reference gives the very value, of whatever kind."""
    assert Template.parse("${ input }").evaluate({"input": value}) == value


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    """Whatever is written, the answer is a value or an `ExpressionError`, and it is quick."""
    with contextlib.suppress(ExpressionError):
        Condition.parse(text).evaluate({"input": {}})
