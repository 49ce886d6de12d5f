"""The values of a document that hold no others."""

from collections.abc import Iterator, Mapping


def leaves_in(value: object) -> Iterator[object]:
    """Yield every value in *value* that holds no others, however deep, but no key.

    >>> list(leaves_in({"a": ["x", 1, {"b": None}]}))
    ['x', 1, None]
    """
    if isinstance(value, Mapping):
        for each in value.values():
            yield from leaves_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from leaves_in(each)
    else:
        yield value
