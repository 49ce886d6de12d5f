"""Documents: what is read, what is refused and where, and what the cost is."""

import json
import math
import re
import time
import tracemalloc
from collections.abc import Mapping

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from oneiric.documents import (
    DocumentLimits,
    Kind,
    canonical,
    digest,
    kind_of,
    line_of,
    locate,
    parse,
)
from oneiric.errors import DocumentError, JSONValue

LARGEST = 2**53 - 1
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-LARGEST, LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES: st.SearchStrategy[JSONValue] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
KINDS: tuple[Kind, ...] = ("json", "yaml", "toml")


def refusal(data: bytes, kind: Kind, limits: DocumentLimits | None = None) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(data, kind, source="doc", limits=limits or DocumentLimits())
    return caught.value


def facts(error: DocumentError) -> tuple[str, int | None, str]:
    return error.reason, error.line, error.path


@given(VALUES, st.booleans())
def test_any_json_value_survives_the_way_through_text(value: JSONValue, ascii_only: bool) -> None:
    """Whatever a strict encoder writes is read back equal, escaped or not."""
    data = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert parse(data, "json") == value


@given(VALUES)
@example([1e21, 5e-324, -0.0])
def test_canonical_bytes_of_any_value_are_their_own_canonical_form(value: JSONValue) -> None:
    """Canonical bytes are read back to a value that has the same bytes and digest."""
    data = canonical(value)
    assume(not re.search(rb"[0-9]{16}", data))
    again = parse(data, "json")

    assert canonical(again) == data
    assert digest(again) == digest(value)


@settings(deadline=2000)
@given(st.binary(max_size=400), st.sampled_from(KINDS))
@example(b"\x00", "yaml")
@example(b"? ? [", "yaml")
@example(b"a: &a\n- *a", "yaml")
@example(b"a = 1979-13-01", "toml")
@example(b'{"\\ud800": 1}', "json")
def test_any_bytes_give_a_canonical_value_or_a_document_error(data: bytes, kind: Kind) -> None:
    """No bytes bring out another exception, and every value read can be encoded."""
    try:
        value = parse(data, kind)
    except DocumentError:
        return
    canonical(value)


@settings(deadline=2000)
@given(st.text("[]{}:,-&*!?|>'\"#\\=. \n\tab1~<", max_size=80), st.sampled_from(KINDS))
def test_any_text_of_punctuation_is_read_or_refused_and_located(text: str, kind: Kind) -> None:
    """The lines found are lines of the text, and each refusal has a known place."""
    lines = locate(text.encode(), kind)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
    try:
        parse(text.encode(), kind)
    except DocumentError as error:
        refused = error
    else:
        return
    assert refused.line or refused.path or refused.reason == "empty"


@given(VALUES.filter(lambda value: isinstance(value, dict)))
def test_the_lines_of_any_indented_json_lead_to_its_keys(value: JSONValue) -> None:
    """A located key stands on its line."""
    text = json.dumps(value, indent=1)
    rows = text.split("\n")

    for path, line in locate(text.encode(), "json").items():
        last = path.rpartition(".")[2]
        row = rows[line - 1].strip()
        assert (
            not row.startswith('"')
            or last.isdigit()
            or json.dumps(last)[1:-1] in row
            or last == '""'
        )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.json", "json"), ("a.yaml", "yaml"), ("b/c.YML", "yaml"), ("oneiric.toml", "toml")],
)
def test_a_suffix_tells_the_kind(name: str, kind: Kind) -> None:
    """Suffixes count in either case."""
    assert kind_of(name) == kind


def test_an_unknown_suffix_is_refused_by_name() -> None:
    """The error names the file and the suffixes that are known."""
    with pytest.raises(DocumentError, match=r"^settings\.ini: .*\.json, \.yaml, \.yml, \.toml$"):
        kind_of("settings.ini")


REFUSED: list[tuple[bytes, Kind, tuple[str, int | None, str]]] = [
    (b'{"a": {"b": 1,\n"b": 2}}', "json", ("duplicate-key", 2, "a.b")),
    (b"a:\n  b: 1\n  b: 2\n", "yaml", ("duplicate-key", 3, "b")),
    (b'a: 1\n"a": 2\n', "yaml", ("duplicate-key", 2, "a")),
    (b"[a]\nb = 1\nb = 2\n", "toml", ("duplicate-key", 3, "")),
    (b"[a]\n[b]\n[a]\n", "toml", ("duplicate-key", 3, "")),
    (b"a = {b = 1, b = 2}", "toml", ("duplicate-key", 1, "")),
    (b'{"a": [1,\nNaN]}', "json", ("not-finite", 2, "a.1")),
    (b'{"a": -Infinity}', "json", ("not-finite", 1, "a")),
    (b'{"a": 1e999}', "json", ("not-finite", 1, "a")),
    (b"a:\n- .nan", "yaml", ("not-finite", 2, "a.0")),
    (b"a: -.INF", "yaml", ("not-finite", 1, "a")),
    (b"x = 1\n[a]\nb = [1,\n nan]", "toml", ("not-finite", 4, "a.b.1")),
    (b"a = inf", "toml", ("not-finite", 1, "a")),
    (b'{"a": 9007199254740992}', "json", ("integer-too-large", 1, "a")),
    (b"-9007199254740992", "yaml", ("integer-too-large", None, "")),
    (b'{"a": ' + b"9" * 9000 + b"}", "json", ("integer-too-large", 1, "a")),
    (b"a: " + b"9" * 9000, "yaml", ("integer-too-large", 1, "a")),
    (b"a = " + b"9" * 9000, "toml", ("integer-too-large", 1, "")),
    (b"a = 0x" + b"f" * 9000, "toml", ("integer-too-large", 1, "a")),
    (b'["\\ud800"]', "json", ("surrogate", 1, "0")),
    (b'{"\\udfff": 1}', "json", ("surrogate", 1, "\\udfff")),
    (b'\n"\x1b"', "json", ("control-character", 2, "")),
    (b"a: \x00", "yaml", ("control-character", 1, "")),
    (b"a = '\x7f'", "toml", ("control-character", 1, "")),
    (b"a\n\xff", "json", ("not-utf-8", 2, "")),
    ('{"a": 1}'.encode("utf-16"), "json", ("not-utf-8", 1, "")),
    ('{"a": 1}'.encode("utf-16-le"), "json", ("control-character", 1, "")),
    (b"", "json", ("empty", None, "")),
    (b" \n", "yaml", ("empty", None, "")),
    (b"# nothing\n", "yaml", ("empty", 1, "")),
    (b"a: !!str 1", "yaml", ("tag", 1, "")),
    (b"a:\n  !!python/object/apply:os.system [ls]", "yaml", ("tag", 2, "")),
    (b"!custom {a: 1}", "yaml", ("tag", 1, "")),
    (b"--- 1\n--- 2\n", "yaml", ("several-documents", 2, "")),
    (b"1: a", "yaml", ("key-not-text", 1, "")),
    (b"a: {null: a}", "yaml", ("key-not-text", 1, "")),
    (b"? [a]\n: b", "yaml", ("key-not-text", 1, "")),
    (b"a: &a {b: 1}\nc:\n  <<: *a", "yaml", ("merge-key", 3, "")),
    (b"a: &a [1, *a]", "yaml", ("recursive-alias", 1, "")),
    (b"a: *b", "yaml", ("unknown-anchor", 1, "")),
    (b'{"a": 1,}', "json", ("syntax", 1, "")),
    (b"a: [1", "yaml", ("syntax", 1, "")),
    (b"a = \n", "toml", ("syntax", 1, "")),
    (b"[" * 65 + b"]" * 65, "json", ("too-deep", 1, ".".join("0" * 64))),
    (b"\n" + b"[" * 20_000, "json", ("too-deep", 2, "")),
    (b"\n" + b"[" * 20_000, "yaml", ("too-deep", 2, "")),
    (b"\na = " + b"[" * 20_000, "toml", ("too-deep", 2, "")),
    (b"\na" + b".a" * 20_000 + b" = 1", "toml", ("too-deep", 2, "")),
    (b"[" + b"a." * 64 + b"a]", "toml", ("too-deep", 1, "")),
]


def test_a_key_that_is_written_twice_is_told_alike_in_every_format() -> None:
    """TOML's own words for it follow; they alone would be a riddle."""
    texts: dict[Kind, bytes] = {
        "json": b'{"a": 1, "a": 2}',
        "yaml": b"a: 1\na: 2\n",
        "toml": b"a = 1\na = 2\n",
    }

    for kind, text in texts.items():
        with pytest.raises(DocumentError, match="the key is written twice"):
            parse(text, kind)


@pytest.mark.parametrize(
    ("data", "kind", "where"), REFUSED, ids=[f"{kind}-{d[:24]!r}" for d, kind, _ in REFUSED]
)
def test_what_two_readers_could_read_in_two_ways_is_refused_with_its_place(
    data: bytes, kind: Kind, where: tuple[str, int | None, str]
) -> None:
    """The reason is a stable word; line or path lead to the fault; the source is named."""
    started = time.perf_counter()
    error = refusal(data, kind)

    assert facts(error) == where
    assert str(error).startswith("doc")
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_over_the_length_is_refused_unread(kind: Kind) -> None:
    """One byte more than the limit is too much."""
    assert refusal(b"#" * 11, kind, DocumentLimits(max_bytes=10)).reason == "too-large"


def test_as_many_values_as_the_limit_are_read_and_one_more_is_not() -> None:
    """Tables, lists and single values count; keys do not."""
    limits = DocumentLimits(max_nodes=4)

    assert parse(b'{"a": [1, 2]}', "json", limits=limits) == {"a": [1, 2]}
    assert refusal(b'{"a": [1,\n2, 3]}', "json", limits).reason == "too-many-values"
    assert facts(refusal(b"a:\n- 1\n- 2\n- 3", "yaml", limits)) == ("too-many-values", 4, "")


def test_depth_up_to_the_limit_is_read() -> None:
    """64 lists within each other are one value."""
    parse(b"[" * 64 + b"]" * 64, "json")
    parse(b"[" * 64 + b"]" * 64, "yaml")
    parse(b"a = " + b"[" * 63 + b"]" * 63, "toml")


def test_yaml_words_of_version_1_1_are_text() -> None:
    """Only null, true, false and decimal numbers mean something but themselves."""
    text = b"""\
[yes, no, on, off, Y, true, False, ~, null, 1:30, 010, 0o17, 0x1F, 1_000, 2026-11-20,
 2026-11-20T10:00:00Z, 12, -3, +4, 1.5, .5, 1e3, "1", 'true', =]
"""
    assert parse(text, "yaml") == [
        *("yes", "no", "on", "off", "Y", True, False, None, None, "1:30", "010", "0o17"),
        *("0x1F", "1_000", "2026-11-20", "2026-11-20T10:00:00Z", 12, -3, 4, 1.5, 0.5, 1000.0),
        *("1", "true", "="),
    ]


def test_yaml_keys_that_look_like_booleans_are_text() -> None:
    """`on:` is the key "on"; an explicit null document is null."""
    assert parse(b"on: push\nno: x\n'1': y\n'<<': z", "yaml") == {
        "on": "push",
        "no": "x",
        "1": "y",
        "<<": "z",
    }
    assert parse(b"---\n...\n", "yaml") is None


def test_toml_dates_and_times_become_text() -> None:
    """All four kinds are RFC 3339 text, also in lists and tables."""
    text = b"""\
a = 1979-05-27T07:32:00Z
b = 1979-05-27
c = [07:32:00, {d = 1979-05-27T00:32:00.5-07:00}]
"""
    assert parse(text, "toml") == {
        "a": "1979-05-27T07:32:00Z",
        "b": "1979-05-27",
        "c": ["07:32:00", {"d": "1979-05-27T00:32:00.500000-07:00"}],
    }


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"\xef\xbb\xbf"])
def test_an_empty_toml_document_is_an_empty_table(data: bytes) -> None:
    """Only TOML says so; the other two refuse."""
    assert parse(data, "toml") == {}


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_one_byte_order_mark_is_dropped(kind: Kind) -> None:
    """Editors that write it need not be fought."""
    assert parse(b'\xef\xbb\xbf{"a": 1}', kind) == {"a": 1}


def test_escaped_control_characters_are_values() -> None:
    """What JSON can say with an escape, such as coloured terminal text, may be said."""
    assert parse(b'"\\u001b[1m"', "json") == "\x1b[1m"


def test_an_alias_is_written_out_as_a_copy_of_its_own() -> None:
    """Changing one use of an anchor does not change another."""
    value = parse(b"a: &x [1]\nb: *x\nc: &y text\n*y : d", "yaml")

    assert value == {"a": [1], "b": [1], "c": "text", "text": "d"}
    assert isinstance(value, dict)
    assert value["a"] is not value["b"]


def test_aliases_beyond_the_budget_are_refused() -> None:
    """The budget counts uses, not anchors."""
    limits = DocumentLimits(max_aliases=2)

    parse(b"a: &a 1\nb: [*a, *a]", "yaml", limits=limits)
    assert facts(refusal(b"a: &a 1\nb: [*a, *a,\n*a]", "yaml", limits)) == (
        "too-many-aliases",
        3,
        "",
    )


def test_an_alias_counts_as_deep_and_as_long_as_what_it_stands_for() -> None:
    """Neither depth nor text can be multiplied past the limits."""
    deep = b"a: &a " + b"[" * 40 + b"]" * 40 + b"\nb: " + b"[" * 40 + b"*a" + b"]" * 40
    long = b"a: &a " + b"x" * 60_000 + b"\nb: [" + b"*a," * 20 + b"]"

    assert facts(refusal(deep, "yaml")) == ("too-deep", 2, "")
    assert facts(refusal(long, "yaml")) == ("too-large", 2, "")


def test_defect_oneiric_s9_an_alias_bomb_costs_no_more_than_its_bytes() -> None:
    """A bomb of 300 bytes ends at once and in little memory, whatever the alias budget."""
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    rows += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    bomb = "\n".join(rows).encode()
    tracemalloc.start()
    started = time.process_time()

    first = refusal(bomb, "yaml")
    second = refusal(bomb, "yaml", DocumentLimits(max_aliases=1000))

    assert time.process_time() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert (first.reason, second.reason) == ("too-many-aliases", "too-many-values")


def test_no_refusal_quotes_a_value() -> None:
    """Documents hold secrets; errors are logged."""
    for data, kind in (
        (b'{"token": "hunter2" "x"}', "json"),
        (b"token: 'hunter2' x", "yaml"),
        (b"token = 'hunter2' x", "toml"),
    ):
        assert "hunter2" not in str(refusal(data, kind))  # type: ignore[arg-type]


def test_lines_of_a_json_document() -> None:
    """Keys and list items have the line on which they begin."""
    text = b'{\n"a": {"b": 1,\n "c.d": [1,\n {"e": "x\\"}"}]},\n"f": []}'

    assert locate(text, "json") == {
        "a": 2,
        "a.b": 2,
        "a.c.d": 3,
        "a.c.d.0": 3,
        "a.c.d.1": 4,
        "a.c.d.1.e": 4,
        "f": 5,
    }


def test_lines_of_a_yaml_document() -> None:
    """Block and flow style, quoted keys, block text and aliases are followed."""
    text = b"a: &x\n  b: |\n    c: no key\n  'd': [1,\n    {e: 2}]\nf: *x\n*y : 1\ng: 2\n"

    assert locate(text, "yaml") == {
        "a": 1,
        "a.b": 2,
        "a.d": 4,
        "a.d.0": 4,
        "a.d.1": 5,
        "a.d.1.e": 5,
        "f": 6,
        "*y": 7,
        "g": 8,
    }


TOML_TEXT = b'''\
# [no.table]
top = """
fake = 1
""" # x
dotted."quoted key".x = 1

[a.b] # comment
c = ['x', # ]
  {d = 1}, """]
"""]
[[s]]
n = 1
[s.t]
u = '}'
[[s]]
n = 2
'''


def test_lines_of_a_toml_document() -> None:
    """Tables, arrays of tables, inline tables, dotted keys and long strings are followed."""
    assert locate(TOML_TEXT, "toml") == {
        "top": 2,
        "dotted": 5,
        "dotted.quoted key": 5,
        "dotted.quoted key.x": 5,
        "a": 7,
        "a.b": 7,
        "a.b.c": 8,
        "a.b.c.0": 8,
        "a.b.c.1": 9,
        "a.b.c.1.d": 9,
        "a.b.c.2": 9,
        "s": 11,
        "s.0": 11,
        "s.0.n": 12,
        "s.0.t": 13,
        "s.0.t.u": 14,
        "s.1": 15,
        "s.1.n": 16,
    }


def _paths(value: JSONValue, prefix: str = "") -> set[str]:
    entries: Mapping[str, JSONValue] = {}
    if isinstance(value, Mapping):
        entries = value
    elif isinstance(value, list):
        entries = {str(index): item for index, item in enumerate(value)}
    return {
        path
        for key, item in ((key or '""', item) for key, item in entries.items())
        for path in (f"{prefix}{key}", *_paths(item, f"{prefix}{key}."))
    }


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_every_toml_key_that_is_read_is_located(line_end: bytes) -> None:
    """Reader and scanner agree about the keys, whatever ends the lines."""
    data = TOML_TEXT.replace(b"\n", line_end)

    assert set(locate(data, "toml")) == _paths(parse(data, "toml"))


@given(VALUES.filter(lambda value: isinstance(value, dict)))
def test_every_key_of_any_json_value_is_located(value: JSONValue) -> None:
    """What can be named in an error can be found in the file."""
    data = json.dumps(value).encode()
    wanted = _paths(value)

    assert set(locate(data, "json")) == wanted


def test_lines_of_broken_bytes_are_those_before_the_break() -> None:
    """Locating never fails; it only knows less."""
    assert locate(b"[a]\nb = 1\nc = ?\n= 2", "toml") == {"a": 1, "a.b": 2, "a.c": 3}
    assert locate(b"a: 1\nb: [", "yaml") == {"a": 1, "b": 2}
    assert locate(b'{"a": 1, "b": "\xff', "json").keys() == {"a", "b"}


def test_locating_a_hostile_document_costs_no_more_than_reading_it() -> None:
    """Neither depth nor long keys make the table of lines much larger than the text."""
    deep = b"[" * 20_000
    wide = b'{"' + b"k" * 10_000 + b'": [' + b"1," * 10_000 + b"1]}"
    tracemalloc.start()

    locate(deep, "json")
    locate(wide, "json")

    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_a_line_falls_back_to_the_nearest_parent() -> None:
    """A key that was not written is told by the table that should hold it."""
    lines = {"a": 3, "a.b": 4}

    assert [line_of(lines, path) for path in ("a.b.c.d", "a.x", "z")] == [4, 3, None]


@pytest.mark.parametrize(
    ("value", "reason", "path"),
    [
        ({"a": [1, math.nan]}, "not-finite", "a.1"),
        ({"a": {"b": 2**60}}, "integer-too-large", "a.b"),
        ({"a": {"b": b"x"}}, "not-json", "a.b"),
        ({"a": "\ud800"}, "surrogate", "a"),
        ({1: 2}, "key-not-text", ""),
    ],
)
def test_what_is_not_json_has_no_canonical_form(value: object, reason: str, path: str) -> None:
    """The error leads to the offending value."""
    with pytest.raises(DocumentError) as caught:
        canonical(value)  # type: ignore[arg-type]

    assert (caught.value.reason, caught.value.path) == (reason, path)


def test_a_value_that_contains_itself_has_no_canonical_form() -> None:
    """It is too deep, and no crash."""
    knot: list[JSONValue] = []
    knot.append(knot)

    with pytest.raises(DocumentError, match="contains itself"):
        canonical(knot)


def test_a_float_beyond_2_53_is_kept_and_its_canonical_form_is_an_integer() -> None:
    """RFC 8785 writes it without an exponent, and no reader takes such an integer for exact."""
    value = parse(b"9007199254740992.0", "json")

    assert canonical(value) == b"9007199254740992"
    assert refusal(canonical(value), "json").reason == "integer-too-large"


def test_canonical_form_sorts_by_utf_16_and_writes_numbers_as_ecmascript() -> None:
    """The example of RFC 8785, section 3.2.3, and its numbers."""
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}

    assert list(parse(canonical(value), "json")) == [  # type: ignore[arg-type]
        *("\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33")
    ]
    assert canonical([333333333.33333329, 1e30, 4.50, 2e-3, -0.0]) == (
        b"[333333333.3333333,1e+30,4.5,0.002,0]"
    )
