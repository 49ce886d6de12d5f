"""Asserts as people write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from oneiric.validation.checks.notation import assert_table
from oneiric.validation.checks.spec import Assert, LiveCheck

URL = "https://api.example.com/health"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('json $.status == "ok"', ("json", "$.status", "==", "ok")),
        ("json $.status == ok", ("json", "$.status", "==", "ok")),
        ("json $.n==1", ("json", "$.n", "==", 1)),
        ("json $.items[?@.id == 1].name != null", ("json", "$.items[?@.id == 1].name", "!=", None)),
        ("json $['a b'] exists", ("json", "$['a b']", "exists", None)),
        ("json $.id", ("json", "$.id", "exists", None)),
        (r"json $.id matches ^\d+$", ("json", "$.id", "matches", r"^\d+$")),
        ("header content-type contains json", ("header", "content-type", "contains", "json")),
        ("header X-Debug absent", ("header", "X-Debug", "absent", None)),
        ("duration p95 < 500ms", ("duration_ms", "p95", "<", 500)),
        ("duration < 1.5s", ("duration_ms", "", "<", 1500)),
        ("body matches a (b|c) d", ("body", "", "matches", "a (b|c) d")),
        ('body contains "quoted text"', ("body", "", "contains", "quoted text")),
        ("size < 1MB", ("size_bytes", "", "<", 1_000_000)),
        ("size <= 2 MiB", ("size_bytes", "", "<=", 2 << 20)),
        ("certificate > 14d", ("certificate_days", "", ">", 14)),
        ("certificate >= 2 w", ("certificate_days", "", ">=", 14)),
        ("redirect == https://a.example/x?y=1", ("redirect", "", "==", "https://a.example/x?y=1")),
        ("redirect absent", ("redirect", "", "absent", None)),
        ("status 2xx", ("status", "", "==", "2xx")),
        ("status == [200, 204]", ("status", "", "==", [200, 204])),
        ("status != 500", ("status", "", "!=", 500)),
        ('schema {"type": "object"}', ("schema", "", "valid", {"type": "object"})),
        (
            'schema $.items valid {"type": "array"}',
            ("schema", "$.items", "valid", {"type": "array"}),
        ),
    ],
)
def test_a_text_stands_for_the_table_that_it_says(
    text: str, expected: tuple[str, str, str, object]
) -> None:
    """Each form of an assert means one table, and a check takes either."""
    subject, at, op, value = expected
    table = {"subject": subject, "at": at, "op": op, "value": value}
    check = LiveCheck.model_validate({"url": URL, "asserts": [text, table]})
    assert check.asserts == [Assert.model_validate(table)] * 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("jsn $.a == 1", "did you mean json?"),
        ("json $.a ==", "nothing follows =="),
        ("header x exists y", "nothing follows exists"),
        ("size < 1parsec", "a number follows"),
        ("size < lots", "a number follows"),
        ("body", "it lacks one of"),
        ("body is nice", "it lacks one of"),
        ("certificate contains 14", "can be asked"),
        ("header == x", "the name of a header"),
        ("json status == 1", "a JSONPath, which begins with $"),
        ("duration p0 < 3ms", "p1 to p100"),
        ("duration p101 < 3ms", "p1 to p100"),
        ("duration == 3ms", "can be asked"),
        ("schema nonsense", "a JSON Schema follows"),
        ("status < 5xx", "an order is among numbers"),
        ("", "it begins with one of"),
    ],
)
def test_a_text_that_says_nothing_is_refused_with_the_reason(text: str, why: str) -> None:
    """What means nothing is told when the check is read, not when it is done."""
    with pytest.raises(ValidationError, match=why.replace("?", r"\?").replace("$", r"\$")):
        LiveCheck.model_validate({"url": URL, "asserts": [text]})


@given(st.text(max_size=80))
def test_any_text_is_an_assert_or_refused(text: str) -> None:
    """No text breaks the reader: it gives a table, or the error of a validator."""
    with suppress(PydanticCustomError):
        table = assert_table(text)
        assert table["subject"]
        assert table["op"]


@given(st.text(alphabet="abcdefgh $.[]'\"=<>!", max_size=30), st.integers(-1000, 1000))
def test_any_path_in_brackets_stays_whole(inner: str, value: int) -> None:
    """What stands quoted in a path does not end it, whatever it is."""
    quoted = inner.replace("'", "")
    table = assert_table(f"json $['{quoted}'] == {value}")
    assert (table["at"], table["value"]) == (f"$['{quoted}']", value)
