"""`data.transform`: fields chosen, left out, renamed and completed."""

import pytest

from oneiric.domains import InvalidPayloadError
from tests.actions.conftest import Act

KEY = "data.transform"


async def test_the_stages_follow_one_another(act: Act) -> None:
    """Include, exclude, rename, defaults; what changed nothing is not told."""
    found = await act(
        KEY,
        record={"a": 1, "b": 2, "c": 3},
        include_fields=["a", "b"],
        exclude_fields=["b"],
        rename_fields={"a": "x", "c": "y"},
        defaults={"x": 0, "z": 9},
    )

    assert found == {
        "status": "transformed",
        "data": {"x": 1, "z": 9},
        "applied": ["include_fields", "exclude_fields", "rename_fields", "defaults"],
    }
    assert await act(KEY, data={}) == {"status": "transformed", "data": {}, "applied": []}


async def test_names_may_be_exchanged_but_not_merged(act: Act) -> None:
    """Two fields never end up with one name, unless one of them was left out."""
    swapped = await act(KEY, data={"a": 1, "b": 2}, rename_fields={"a": "b", "b": "a"})

    assert swapped["data"] == {"b": 1, "a": 2}
    with pytest.raises(InvalidPayloadError, match="two fields would be named b"):
        await act(KEY, data={"a": 1, "b": 2}, rename_fields={"a": "b"})
    free = await act(KEY, data={"a": 1, "b": 2}, exclude_fields=["b"], rename_fields={"a": "b"})
    assert free["data"] == {"b": 1}


async def test_a_record_is_given_once(act: Act) -> None:
    """Under one of its two names."""
    with pytest.raises(InvalidPayloadError):
        await act(KEY, data={}, record={})
