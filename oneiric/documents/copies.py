"""A value to plain JSON of bounded size that shares nothing with it."""

from __future__ import annotations

from oneiric.documents.canon import canonical, json_value
from oneiric.errors import InvalidError, JSONValue

ANY_SIZE = 1 << 62
_MOST_LONGER = 5  # than Python's own text: 1e+20 becomes 21 digits, a character 4 bytes


class ValueTooLargeError(InvalidError):
    """A value whose JSON takes more bytes than the limits allow."""

    code = "value-too-large"


def plain(value: object, max_bytes: int = ANY_SIZE) -> JSONValue:
    """Return *value* as plain JSON that shares nothing with it.

    >>> plain({"rows": (1, 2)}, 100)
    {'rows': [1, 2]}

    Raises:
        DocumentError: something in it is not JSON; names its path.
        ValueTooLargeError: its canonical JSON is longer than *max_bytes*.
    """
    if value is None:
        return None
    copy = json_value(value)
    if max_bytes < ANY_SIZE and len(repr(copy)) * _MOST_LONGER > max_bytes:
        size = len(canonical(copy))
        if size > max_bytes:
            raise ValueTooLargeError(f"it takes {size} bytes of JSON, more than {max_bytes}")
    return copy
