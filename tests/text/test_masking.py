"""Known secrets are masked in every form, in one piece or in many."""

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.text.masking import Masking
from oneiric.text.redaction import MASK

SECRET = 'pä$$ word/+?\n"1"'
FEW = st.text('ab/ %\n"é', min_size=1, max_size=6)
DATA = st.text('ab/ %\n"éYWJ=', max_size=40).map(str.encode)


def in_pieces(masking: Masking, data: bytes, cuts: list[int]) -> bytes:
    stream, before, shown = masking.stream(), 0, b""
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        shown += stream.feed(data[before:cut])
        before = cut
    return shown + stream.end()


@given(st.lists(FEW, max_size=4), DATA, st.lists(st.integers(0, 99), max_size=8))
def test_any_cuts_change_nothing(values: list[str], data: bytes, cuts: list[int]) -> None:
    """What comes in pieces is masked as it would be in one."""
    masking = Masking(values)

    assert in_pieces(masking, data, cuts) == masking.bytes(data)


@given(st.lists(FEW, min_size=1, max_size=4), DATA, st.data())
def test_any_secret_is_gone_whatever_stands_around_it(
    values: list[str], data: bytes, draw: st.DataObject
) -> None:
    """Between the masks there is no whole secret, nor what it overlapped with."""
    at = draw.draw(st.integers(0, len(data)))
    value = draw.draw(st.sampled_from(values)).encode()
    shown = Masking(values).bytes(data[:at] + value + data[at:])

    assert MASK.encode() in shown
    for rest in re.split(re.escape(MASK.encode()), shown):
        assert all(each.encode() not in rest for each in values)


@given(DATA, st.lists(FEW, max_size=4))
def test_any_data_without_a_secret_is_as_it_was(data: bytes, values: list[str]) -> None:
    """Nothing is held back for good."""
    absent = [f"no{each}such" for each in values]

    assert Masking(absent).bytes(data) == data


@given(st.text("ab/é", min_size=8, max_size=20), st.binary(max_size=7), st.binary(max_size=7))
def test_any_text_around_it_hides_no_base64(value: str, before: bytes, after: bytes) -> None:
    """As in the header of a basic authentication."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert MASK.encode() in Masking([value]).bytes(encode(before + value.encode() + after))


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote(SECRET, safe="")),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(SECRET)[1:-1])[1:-1],
        json.dumps(json.dumps(SECRET, ensure_ascii=False)[1:-1])[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_every_form_is_masked_whole(form: str) -> None:
    """Nothing of it is left beside the mask."""
    assert Masking([SECRET]).text(f"<{form}>") == f"<{MASK}>"


def test_a_longer_secret_that_begins_with_a_shorter_is_masked_whole() -> None:
    """Even when the shorter one ends a piece."""
    stream = Masking(["abc", "abcdef"]).stream()
    shown = [stream.feed(b"xabc"), stream.feed(b"defx"), stream.end()]

    assert b"".join(shown) == b"x" + MASK.encode() + b"x"


def test_what_overlaps_is_masked_as_one() -> None:
    """No part of either is left."""
    assert Masking(["xab", "abc"]).text("xabc") == MASK


def test_a_secret_without_end_needs_no_memory() -> None:
    """A megabyte that is all secret is one mask, and little of it is held."""
    stream = Masking(["aa"]).stream()
    shown = b"".join(stream.feed(b"a" * 4096) for _ in range(256))

    assert shown + stream.end() == MASK.encode()


def test_nothing_to_mask_masks_nothing() -> None:
    """An empty text is none."""
    assert not Masking(["", ""])
    assert Masking([""]).text("abc") == "abc"
    assert Masking(["x"]).text("\ud800 abc") == "\ud800 abc"


def test_the_values_are_not_shown() -> None:
    """Nor is their number."""
    assert repr(Masking(["hunter2"])) == f"Masking({MASK})"
