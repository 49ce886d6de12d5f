"""A value to the bytes that stand for it: canonical JSON, and its digest."""

import hashlib
import json
import re
from typing import cast

import rfc8785

from oneiric.documents.limits import DocumentLimits
from oneiric.documents.plain import check, holds_float, thaw
from oneiric.documents.refused import Refused
from oneiric.errors import DocumentError, JSONValue

_ANY = 1 << 62
_UNBOUNDED = DocumentLimits(max_bytes=_ANY, max_depth=_ANY, max_aliases=_ANY, max_nodes=_ANY)

# Python's own encoder writes the same bytes in a tenth of the time, but for how floats look and
# for the order of keys with characters beyond the first plane, which UTF-16 puts before others.
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, sort_keys=True, separators=(",", ":")
)
_FAR = re.compile("[\U00010000-\U0010ffff]")


def canonical(value: JSONValue) -> bytes:
    """Return the one JSON text of *value*: equal values give equal bytes.

    Whatever `parse` gave has one. Floats beyond 2^53 and below 1e21 are written
    as integers, which `parse` does not take back.

    >>> canonical({"b": 1.0, "a": [True, None]})
    b'{"a":[true,null],"b":1}'

    Raises:
        DocumentError: something in *value* is not JSON; names its path.

    Source: RFC 8785.
    """
    plain = json_value(value)
    try:
        text = "" if holds_float(plain) else _ENCODER.encode(plain)
        is_same = text and (text.isascii() or not _FAR.search(text))
        return text.encode() if is_same else rfc8785.dumps(plain)
    except RecursionError:
        raise _bottomless() from None


def json_value(value: object) -> JSONValue:
    """Return a copy of *value* in fresh dicts, lists and single values, all of it JSON.

    >>> json_value({"pair": (1, 2.0)})
    {'pair': [1, 2.0]}

    Raises:
        DocumentError: something in *value* is not JSON; names its path.
    """
    try:
        plain = thaw(cast("JSONValue", value))
        check(plain, _UNBOUNDED)
    except Refused as refused:
        raise refused.error("", None) from None
    except RecursionError:
        raise _bottomless() from None
    return cast("JSONValue", plain)


def _bottomless() -> DocumentError:
    return Refused("too-deep", "it is too deep, or contains itself").error("", None)


def digest(value: JSONValue) -> str:
    """Return `sha256:` and the hexadecimal digest of the canonical bytes.

    >>> digest({})
    'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'
    """
    return f"sha256:{hashlib.sha256(canonical(value)).hexdigest()}"
