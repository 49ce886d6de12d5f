"""Bytes to text, without what no document may hold."""

import re
from collections.abc import Mapping

from oneiric.documents.limits import DocumentLimits, Kind
from oneiric.documents.refused import Refused

# Patterns are text, compiled with the first use: those beyond ASCII take milliseconds.
_CONTROL: Mapping[Kind, str] = {
    "json": r"[\x00-\x08\x0b\x0c\x0e-\x1f]",
    "toml": r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",
    "yaml": r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]",
}
_BYTES = bytes([*range(9), 11, 12, *range(14, 32)])
_SAME_IN_BYTES: Mapping[Kind, bytes] = {"json": _BYTES, "toml": _BYTES + b"\x7f"}


def decode(data: bytes, kind: Kind, limits: DocumentLimits) -> str:
    """Decode UTF-8 strictly; one byte order mark at the start is dropped.

    Control characters that the language does not let stand as they are end
    here; written as escapes they are values like any other.

    Raises:
        Refused: too long, not UTF-8, a control character, or nothing at all.
    """
    if len(data) > limits.max_bytes:
        raise Refused("too-large", f"it is longer than {limits.max_bytes} bytes")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused("not-utf-8", "its bytes are not UTF-8", line=line) from None
    if _may_hold_control(data, kind) and (found := re.search(_CONTROL[kind], text)):
        code = ord(found[0])
        line = text.count("\n", 0, found.start()) + 1
        raise Refused("control-character", f"it holds the character U+{code:04X}", line=line)
    if kind != "toml" and not text.strip():
        raise Refused("empty", "it is empty")
    return text


def _may_hold_control(data: bytes, kind: Kind) -> bool:
    """Tell in a fifth of the time that a pattern takes whether it could find anything."""
    unwanted = _SAME_IN_BYTES.get(kind)
    return unwanted is None or len(data.translate(None, unwanted)) < len(data)
