"""Keep secrets out of whatever is written down."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import cast

MASK = "**********"
_SHORT = 64
_SINGLE = frozenset({int, float, bool, type(None)})
_WORDS = re.compile(
    r"pass(word|wd|phrase|code)|pwd|secret|token|(api|private|access|signing)[-_ ]?key|credential"
    r"|authorization|cookie",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"tokens|token[-_ ]?(count|limit|usage|budget|total)", re.IGNORECASE)
_MARKS = re.compile(r"[\W_]+")
_PAIRS = re.compile(r"([\w.-]{1,64})=([^\s&,;'\"()]+)")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")


def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name holds a secret, whatever its spelling.

    >>> is_secret_name("Password"), is_secret_name("authToken"), is_secret_name("tokens_used")
    (True, True, True)
    """
    return _is_known_secret(name) if len(name) <= _SHORT else _WORDS.search(name) is not None


@lru_cache(maxsize=1_024)
def _is_known_secret(name: str) -> bool:
    """Tell the same; the names of fields come again and again."""
    return _WORDS.search(name) is not None


def same_name(name: str) -> str:
    """Return what all spellings of a field's name have in common.

    >>> same_name("API-Key") == same_name("apiKey") == same_name("api_key")
    True
    """
    return _MARKS.sub("", name.casefold())


def redacted(value: object, *, names: Iterable[str] = (), mask: str = MASK) -> object:
    """Return *value* with secret fields masked at any depth, also in text and in its URLs.

    A field is secret by its name, or when its name holds one of *names* in any spelling. How
    many tokens there are is none: a number whose name speaks of several, or of their count.

    >>> redacted({"tokens_used": 17, "tokens": ["t"], "token": 17})
    {'tokens_used': 17, 'tokens': '**********', 'token': '**********'}
    >>> redacted({"url": "redis://me:pass@host/0", "nested": [{"API_KEY": "k"}]})
    {'url': 'redis://**********@host/0', 'nested': [{'API_KEY': '**********'}]}
    >>> redacted("login failed: user=me password=hunter2 max_tokens=17")
    'login failed: user=me password=********** max_tokens=17'
    >>> redacted({"Card-Number": "4111", "id": 7}, names=["card_number"])
    {'Card-Number': '**********', 'id': 7}
    """
    return _redacted(value, tuple(filter(None, map(same_name, names))), mask)


def _redacted(value: object, names: tuple[str, ...], mask: str) -> object:
    kind = type(value)
    if kind in _SINGLE:
        return value
    if isinstance(value, str):
        if "@" in value and "://" in value:
            value = _CREDENTIALS.sub(mask, value)
        return _PAIRS.sub(partial(_pair, names, mask), value) if "=" in value else value
    if kind is dict or isinstance(value, Mapping):
        return {
            name: _item(str(name), item, names, mask)
            for name, item in cast("Mapping[object, object]", value).items()
        }
    if kind is list or (isinstance(value, Sequence) and not isinstance(value, bytes | bytearray)):
        return [_redacted(item, names, mask) for item in cast("Sequence[object]", value)]
    return value


def _item(name: str, value: object, names: tuple[str, ...], mask: str) -> object:
    if (
        _is_secret(name, value, names)
        if names or len(name) > _SHORT
        else (_is_known_secret(name) and not _is_count(name, value))
    ):
        return mask
    if type(value) is str and "=" not in value and "@" not in value:
        return value  # as nearly all texts
    return _redacted(value, names, mask)


def _pair(names: tuple[str, ...], mask: str, found: re.Match[str]) -> str:
    name, text = found.groups()
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text
    return f"{name}={mask}" if _is_secret(name, value, names) else found[0]


def _is_secret(name: str, value: object, names: tuple[str, ...]) -> bool:
    if is_secret_name(name) and not _is_count(name, value):
        return True
    return bool(names) and any(each in same_name(name) for each in names)


def _is_count(name: str, value: object) -> bool:
    """Tell whether a number counts tokens; a name that speaks of another secret too is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    rest = _COUNTED.sub("", name)
    return rest != name and not is_secret_name(rest)
