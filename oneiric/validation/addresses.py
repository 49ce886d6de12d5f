"""Show an address without what nobody may see of it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from oneiric.text.redaction import MASK, is_secret_name

_PARTED = re.compile(r"[@?#]")
_NAMES = re.compile(
    r"(?:^|[-_.])(?:key|sig|signature|auth|code|jwt|session|sid|otp|pin|hash|hmac|ticket|nonce)$",
    re.IGNORECASE,
)
_LONG = re.compile(r"(?=.*\d)[A-Za-z0-9._~+/=-]{24,}")


def shown_address(url: str) -> str:
    """Return an address without user, password, fragment and what is secret in its query.

    >>> shown_address("https://me:pass@example.com/a?page=2&api_key=x#top")
    'https://example.com/a?page=2&api_key=**********'
    """
    if not has_parts(url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    netloc = parts.netloc.rpartition("@")[2]
    query = _query(parts.query) if parts.query else ""
    return urlunsplit(parts._replace(netloc=netloc, query=query, fragment=""))


def has_parts(url: str) -> bool:
    """Tell whether an address may hold more than scheme, host and path."""
    return _PARTED.search(url) is not None


def is_query_secret(name: str, value: str) -> bool:
    """Tell whether what a query holds is a secret: by its name, or by what it looks like."""
    return bool(is_secret_name(name) or _NAMES.search(name) or _LONG.fullmatch(value))


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    shown = ((name, MASK if is_query_secret(name, value) else value) for name, value in pairs)
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='*')}" for name, value in shown)
