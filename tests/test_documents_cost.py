"""Refusing a document costs no more than reading one of its length, whatever it was made for."""

import time
import tracemalloc
from collections.abc import Callable

import pytest
from pydantic import BaseModel, ConfigDict

from oneiric.documents import DocumentLimits, line_of, locate, parse
from oneiric.documents.model import validate_settings
from oneiric.errors import ConfigError, DocumentError, JSONValue

LIMITS = DocumentLimits(max_bytes=32 << 20, max_depth=8, max_nodes=500)
SECONDS = 3.0  # each took half a minute or much longer, and has to take a tenth of this


def spent(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def refusal(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse(data, "json", limits=LIMITS)
    return caught.value.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[" * 8_000_000, "too-many-values"),
        (b"[" + b"[]," * 4_000_000 + b"[]]", "too-many-values"),
        (b"[" + b"NaN," * 4_000_000 + b"NaN]", "too-many-values"),
        (b'{"' + b"." * 2_000_000 + b'":1,"' + b"." * 2_000_000 + b'":1}', "duplicate-key"),
        (b"[" * 400 + b'"' + b'\\"' * 4_000_000, "syntax"),
        (b'["' + b',\\"' * 4_000_000 + b'",NaN]', "not-finite"),
        (b"[" + b" " * 8_000_000 + b"NaN]", "not-finite"),
        (b"[" + b"[" * 9 + b" " * 8_000_000 + b"]" * 10, "too-deep"),
    ],
    ids=["open", "empty", "nan", "dots", "quotes", "commas-in-text", "blanks", "deep-blanks"],
)
def test_promise_m2_a_refusal_is_cheap(data: bytes, reason: str) -> None:
    """Neither many values, nor long keys, nor quotes without end cost more than their bytes."""
    assert spent(lambda: refusal(data)) < SECONDS
    tracemalloc.start()
    try:
        assert refusal(data) == reason
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (1 << 20) + 5 * len(data)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b"1", 1),
        (b"[ ]", 1),
        (b"[{}, [\n]]", 3),
        (b'{"a,[{":",,,"}', 2),
        (b'{"a":"\\",","b":[[],{"c":1}]}', 6),
    ],
)
def test_values_are_counted_as_they_are_read(data: bytes, values: int) -> None:
    """Empty lists and tables hold none, and commas in text are no values."""
    assert parse(data, "json", limits=DocumentLimits(max_nodes=values)) is not None
    if values > 1:
        with pytest.raises(DocumentError) as caught:
            parse(data, "json", limits=DocumentLimits(max_nodes=values - 1))
        assert caught.value.reason == "too-many-values"


def test_the_line_of_many_values_is_told() -> None:
    """It is the line where there was one too many."""
    with pytest.raises(DocumentError) as caught:
        parse(b"[1,\n2,\n3,\n4]", "json", limits=DocumentLimits(max_nodes=4))
    assert (caught.value.reason, caught.value.line) == ("too-many-values", 3)


def test_a_line_is_found_in_what_nobody_can_read() -> None:
    """Looking for lines costs no more than the bytes do, where quotes never end either."""
    assert spent(lambda: locate(b'["' + b'\\"' * 500_000, "json")) < SECONDS
    assert spent(lambda: line_of({"a": 1}, "." * 5_000_000)) < SECONDS
    assert line_of({"a": 1, "a.b": 2}, "a.b." + "c" * 1000 + ".d") == 2


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    parts: list[Part] = []
    text: str = ""


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        ({"parts": [{"name": number} for number in range(10_000)]}, 10_000),
        ({"text": [f"{number} texts" for number in range(100_000)]}, 1),
        ({f"tex{number}": 1 for number in range(50_000)}, 50_000),
    ],
    ids=["faults", "texts-to-mask", "unknown-keys"],
)
def test_many_faults_cost_as_much_as_they_are_many(
    values: dict[str, JSONValue], faults: int
) -> None:
    """A table full of faults is told in full, and takes no time that grows with its square."""

    def check() -> None:
        with pytest.raises(ConfigError) as caught:
            validate_settings(Whole, values, key="x", origin_of=lambda path: "here")
        assert len(caught.value.problems) == faults

    assert spent(check) < SECONDS
