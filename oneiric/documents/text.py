"""Bytes to text, without what no document may hold."""

import re
from collections.abc import Mapping

from oneiric.documents.limits import DocumentLimits, Kind
from oneiric.documents.refused import Refused

# Patterns are text, compiled with the first use: those beyond ASCII take milliseconds.
_CONTROL: Mapping[Kind, str] = {
    "json": r"[\x00-\x08\x0b\x0c\x0e-\x1f]",
    "toml": r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",
    "yaml": r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]",
}


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
    if found := re.search(_CONTROL[kind], text):
        code = ord(found[0])
        line = text.count("\n", 0, found.start()) + 1
        raise Refused("control-character", f"it holds the character U+{code:04X}", line=line)
    if kind != "toml" and not text.strip():
        raise Refused("empty", "it is empty")
    return text
