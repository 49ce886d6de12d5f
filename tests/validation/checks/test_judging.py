"""What each assert finds of an answer."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.errors import InvalidError, JSONValue
from oneiric.ports.http import Headers
from oneiric.validation.checks.answer import Answer
from oneiric.validation.checks.judge import judged, percentile, same
from oneiric.validation.checks.spec import LiveCheck
from oneiric.validation.providers.json_paths import found_at, path_problem
from oneiric.validation.providers.json_schemas import schema_faults, schema_problem
from oneiric.validation.providers.patterns import (
    PatternTooSlowError,
    PatternUntriedError,
    pattern_problem,
    searched,
)

BODY = b'{"status": "ok", "n": 3, "flag": true, "items": [{"id": 1}, {"id": 2}], "none": null}'
ANSWER = Answer(
    status=200,
    url="https://api.example.com/health",
    headers=Headers([("Content-Type", "application/json"), ("X-Count", "12")]),
    body=BODY,
    duration_ms=20.0,
    redirect="https://api.example.com/new",
    certificate_days=20.5,
)
EMPTY = Answer(200, ANSWER.url, Headers(), b"")
SCHEMA = {
    "type": "object",
    "required": ["status"],
    "properties": {"n": {"type": "integer"}},
    "patternProperties": {"^i": {"type": "array"}},
}


def verdicts(*asserts: object, answer: Answer = ANSWER, status: object = 200) -> list[bool | None]:
    """What was found of each assert, the status first."""
    table = {"url": answer.url, "asserts": list(asserts), "expected_status": status}
    return [each.ok for each in judged(LiveCheck.model_validate(table), answer)]


@pytest.mark.parametrize(
    "text",
    [
        "status 200",
        "status 2xx",
        "status == [204, 200]",
        "status < 300",
        "header content-type == application/json",
        "header X-COUNT > 11",
        "header x-none absent",
        'json $.status == "ok"',
        "json $.n == 3",
        "json $.n >= 3",
        "json $.flag == true",
        "json $.none == null",
        "json $.none exists",
        "json $.items[*].id == [1, 2]",
        "json $.items[*].id contains 2",
        "json $.items[?@.id == 2].id == 2",
        "json $.status matches ^o.$",
        "json $.gone absent",
        "body contains items",
        r'body matches "id":\s+2',
        "size < 1kB",
        "duration < 1s",
        "duration p99 <= 20ms",
        "certificate > 14d",
        "redirect == https://api.example.com/new",
        "redirect matches /new$",
        {"subject": "schema", "op": "valid", "value": SCHEMA},
    ],
)
def test_what_is_so_is_found_so_and_its_opposite_is_not(text: object) -> None:
    """Each assert holds of this answer."""
    assert verdicts(text) == [True, True]


@pytest.mark.parametrize(
    "text",
    [
        "status != 200",
        "status 5xx",
        "header content-type contains html",
        "header x-none exists",
        "header x-none != a",
        "json $.n == 4",
        "json $.flag == 1",
        "json $.n == true",
        "json $.gone != 1",
        "json $.n < x",
        "json $.status < 3",
        "json $.items contains 1",
        "body matches ^items",
        "size > 1MB",
        "duration < 20ms",
        "certificate > 30d",
        "redirect absent",
        'schema {"required": ["more"]}',
        'schema $.gone {"type": "object"}',
    ],
)
def test_what_is_not_so_fails(text: str) -> None:
    """Each assert does not hold of this answer; what is not there is no pass either."""
    assert verdicts(text) == [True, False]


def test_defect_validation_a7_a_page_of_an_error_fails_what_is_asserted_of_it() -> None:
    """An HTML page with status 200 is no JSON, has no status and another type."""
    page = Answer(200, ANSWER.url, Headers([("content-type", "text/html")]), b"<html>oops</html>")
    texts = [
        "header content-type contains json",
        'json $.status == "ok"',
        'schema {"type": "object"}',
    ]
    assert verdicts(*texts, answer=page) == [True, False, False, False]


def test_an_answer_without_a_certificate_fails_an_assert_about_it() -> None:
    """Plain HTTP has no certificate, so none is good for long enough."""
    assert verdicts("certificate > 1d", answer=EMPTY) == [True, False]


@pytest.mark.parametrize(
    ("status", "expected", "ok"),
    [(200, 200, True), (204, "2xx", True), (404, [200, "4xx"], True), (500, [200, "4xx"], False)],
)
def test_a_status_may_be_a_value_a_class_or_a_list(status: int, expected: object, ok: bool) -> None:
    """A status is what is expected when any of those given is."""
    answer = Answer(status, ANSWER.url, Headers(), b"")
    assert verdicts(answer=answer, status=expected) == [ok]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.integers(1, 100))
def test_any_percentile_is_a_sample_that_so_many_do_not_exceed(
    samples: list[float], percent: int
) -> None:
    """A percentile is one of the samples, and at least so many of all are not above it."""
    found = percentile(samples, percent)
    assert found is not None
    assert found in samples
    assert sum(each <= found for each in samples) * 100 >= percent * len(samples)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_any_value_is_the_same_as_itself(value: object) -> None:
    """Equality holds of any value and itself, and never of true and 1."""
    assert same(value, value)
    assert not same([value, True], [value, 1])


def test_a_pattern_that_explodes_is_given_up_in_time_and_is_no_pass() -> None:
    """A catastrophic pattern on a long text ends within its limit, and was not checked."""
    text = "a" * 40 + "!"
    answer = Answer(200, ANSWER.url, Headers(), text.encode())
    begun = time.monotonic()
    assert verdicts("body matches ^(a|a)*$", answer=answer) == [True, None]
    assert time.monotonic() - begun < 20
    with pytest.raises(PatternTooSlowError):
        searched("^(a|a)*$", text, seconds=0.05)


@pytest.mark.parametrize("pattern", ["(", "((a{1000}){1000}){1000}", "a{99999}", "a" * 2_000])
def test_a_pattern_that_would_be_huge_or_is_none_is_told_before(pattern: str) -> None:
    """Counts that multiply to more than a pattern may hold never reach the compiler."""
    assert pattern_problem(pattern)


@pytest.mark.parametrize("path", ["status", "$.a[", "$.a | $.b", "$" + ".a" * 1_000])
def test_a_path_that_is_none_is_told_before(path: str) -> None:
    """Only JSONPath of the standard is read."""
    assert path_problem(path)


def test_a_pattern_in_a_path_is_bounded_too() -> None:
    """The functions `match` and `search` of a path keep to the same limit."""
    values = [{"a": "a" * 40 + "!"}]
    with pytest.raises(PatternTooSlowError):
        found_at("$[?search(@.a, '^(a|a)*$')]", values)
    assert found_at("$[?match(@.a, 'b+')].a", [{"a": "bb"}, {"a": "bbc"}, {"a": 3}]) == ["bb"]


def test_a_schema_fetches_nothing_and_repeats_no_value() -> None:
    """A reference to elsewhere is an error, and faults name places only."""
    with pytest.raises(InvalidError, match="does not hold"):
        schema_faults({"$ref": "http://127.0.0.1:9/schema"}, {})
    faults = schema_faults({"properties": {"token": {"type": "integer"}}}, {"token": "s3cret"})
    assert faults == [("$.token", "is string, and not integer")]
    assert schema_problem({"type": 3})
    assert schema_problem({"properties": {"a": {"pattern": "("}}})
    assert schema_problem({"type": "object"}) == ""


def test_a_pattern_of_a_schema_takes_no_long_time() -> None:
    """One that would try for ages is given up, and nobody knows whether the value is good."""
    slow = r"^(?:\w+\w+)+\d$"
    with pytest.raises(PatternUntriedError, match=r"\$ cannot be held to the pattern"):
        schema_faults({"pattern": slow}, "a" * 5_000)
    with pytest.raises(PatternUntriedError):
        schema_faults({"patternProperties": {slow: False}}, {"a" * 5_000: 1})


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "("},
        {"not": {"pattern": "("}},
        {"anyOf": [{"pattern": "("}, {"type": "integer"}]},
        {"oneOf": [{"pattern": "("}, {"type": "string"}]},
        {"if": {"pattern": "("}, "then": {"maxLength": 0}},
    ],
)
def test_what_hangs_on_a_pattern_that_cannot_be_read_is_not_known(schema: JSONValue) -> None:
    """It is neither good nor wrong; a value that no pattern is for is good as ever."""
    with pytest.raises(PatternUntriedError, match=r"the pattern '\('"):
        schema_faults(schema, "a")
    assert schema_faults({"properties": {"a": schema}}, {"b": "a"}) == []


def test_properties_by_patterns_that_cannot_be_read_are_not_known() -> None:
    """Whether a property is another one may hang on such a pattern too."""
    schema: JSONValue = {"patternProperties": {"(": {}, "^b": {}}, "additionalProperties": False}
    assert schema_faults(schema, {"b": 1}) == []
    with pytest.raises(PatternUntriedError, match=r"the pattern '\('"):
        schema_faults(schema, {"c": 1})
    beside: JSONValue = {"patternProperties": {"^[^]": {}}, "unevaluatedProperties": False}
    with pytest.raises(PatternUntriedError, match="cannot be held to the pattern"):
        schema_faults(beside, {"c": 1})


def test_a_schema_may_refer_within_itself() -> None:
    """References to its own parts are followed."""
    schema: JSONValue = {"$defs": {"id": {"type": "integer"}}, "items": {"$ref": "#/$defs/id"}}
    assert schema_faults(schema, [1, 2]) == []
    assert schema_faults(schema, [1, "2"]) == [("$[1]", "is string, and not integer")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('json $.items[*].s != "bad"', False),
        ('json $.items[*].s != "good"', False),
        ('json $.items[*].s != "worse"', True),
        ('json $..s != ["bad", "good"]', False),
        ("json $.items[*].s contains [1]", False),
        ("json $.items[0] contains [1]", False),
    ],
)
def test_none_of_what_a_path_finds_may_be_what_it_must_not_be(text: str, expected: bool) -> None:
    """An assert that something is not so holds for each value at its path."""
    body = b'{"items": [{"s": "bad"}, {"s": "good"}]}'
    answer = Answer(200, ANSWER.url, ANSWER.headers, body)
    assert verdicts(text, answer=answer)[1:] == [expected]


@pytest.mark.parametrize("depth", [150, 900, 100_000])
def test_json_that_is_nested_without_end_is_no_json(depth: int) -> None:
    """However deep an answer is nested, it is judged, and nothing breaks."""
    answer = Answer(200, ANSWER.url, ANSWER.headers, b'{"a":' * depth + b"1" + b"}" * depth)
    assert verdicts("json $.a exists", answer=answer)[1:] == [depth == 150]
