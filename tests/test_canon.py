"""Canonical bytes: the quick way writes what the published encoder does, for any value."""

from __future__ import annotations

import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oneiric.documents import canonical
from oneiric.errors import JSONValue

LARGEST = 2**53 - 1
EDGES = st.sampled_from(
    '\x00\x08\t\n\x0c\r\x1f"\\/\x7f\x80é\u2028\ud7ff\ue000\uffff\U00010000\U0010ffff'
)
TEXTS = st.text(EDGES | st.characters(exclude_categories=["Cs"]), max_size=6)
SINGLE = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | TEXTS
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def values(single: st.SearchStrategy[JSONValue]) -> st.SearchStrategy[JSONValue]:
    """Return any values made of *single* ones."""
    return st.recursive(
        single,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.tuples(inner, inner)
            | st.dictionaries(TEXTS, inner, max_size=5)
        ),
        max_leaves=20,
    )


@settings(max_examples=500)
@given(values(SINGLE) | values(SINGLE | FLOATS))
@example({"\ue000": 1, "\U00010000": 2, "\uffff": 3})
@example({"a": {"\ue000": [{"\U00010000": 1.0}]}})
@example([1.0, 1e21, -0.0, True, False, None, {}, []])
@example({"": 0, "\x7f": "\x7f", "/": "</script>"})
def test_canonical_bytes_are_those_of_rfc_8785(value: JSONValue) -> None:
    """Keys by UTF-16, escapes, numbers and blanks are as the standard says, whatever the way."""
    assert canonical(value) == rfc8785.dumps(value)
