"""Keep secrets out of whatever is written down."""

import re
from collections.abc import Mapping, Sequence

MASK = "**********"
_WORDS = re.compile(
    r"pass(word|wd|phrase)|secret|token|api[-_]?key|private[-_]?key|credential|authorization|cookie",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")


def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name holds a secret, whatever its spelling.

    >>> is_secret_name("Password"), is_secret_name("authToken"), is_secret_name("tokens_used")
    (True, True, True)
    """
    return _WORDS.search(name) is not None


def redacted(value: object) -> object:
    """Return *value* with secret fields masked at any depth, and passwords cut from URLs.

    >>> redacted({"url": "redis://me:pass@host/0", "nested": [{"API_KEY": "k"}]})
    {'url': 'redis://**********@host/0', 'nested': [{'API_KEY': '**********'}]}
    """
    if isinstance(value, str):
        return _CREDENTIALS.sub(MASK, value)
    if isinstance(value, Mapping):
        return {
            name: MASK if is_secret_name(str(name)) else redacted(item)
            for name, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [redacted(item) for item in value]
    return value
