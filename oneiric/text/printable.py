"""Text without what steers a terminal."""

import re

_STEERING = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LAYOUT = str.maketrans("", "", "\t\n")


def printable(text: str) -> str:
    r"""Escape in *text* what could steer a terminal or cannot be encoded; lines and tabs stay.

    A JSON document stays the same document.

    >>> print(printable("\x1b[2Jgone"))
    \u001b[2Jgone
    """
    if text.translate(_LAYOUT).isprintable():
        return text
    return re.sub(_STEERING, lambda found: f"\\u{ord(found[0]):04x}", text)
