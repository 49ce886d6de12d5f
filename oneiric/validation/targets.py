"""Where a check asks: an address, or a path below that of production."""

from __future__ import annotations

from posixpath import normpath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from oneiric.errors import InvalidError
from oneiric.validation.checks.spec import Analysis, LiveCheck, SpecCheck, UICheck
from oneiric.validation.hosts import Place

Asking: TypeAlias = LiveCheck | UICheck | SpecCheck


def placed(check: Asking, prod_url: str) -> Asking:
    """Return *check* with a whole address, so that it means the same to everybody.

    >>> placed(LiveCheck(url="users"), "https://api.example.com/").url
    'https://api.example.com/users'

    Raises:
        InvalidError: it is a path, and the address of production is not known; or no address.
    """
    if isinstance(check, SpecCheck):
        return check
    return check.model_copy(update={"url": whole_url(check.url, prod_url)})


def meaning_of(check: Asking) -> str:
    """Return what tells checks apart that ask something else, however they are called.

    How long one waits, how often it tries or measures, and what it captures prove nothing more.

    >>> once = LiveCheck(url="https://api.example.com/users")
    >>> again = LiveCheck(id="again", url="https://api.example.com/users#all", timeout=5)
    >>> meaning_of(once) == meaning_of(again)
    True
    """
    fields = type(check).model_fields
    plain = {
        name: fields[name].get_default(call_default_factory=True)
        for name in _SAYS_NOTHING & fields.keys()
    }
    if isinstance(check, LiveCheck):
        plain["url"] = one_spelling(check.url)
        plain["headers"] = {name.lower(): check.headers[name] for name in sorted(check.headers)}
        asserts = {each.model_dump_json(): each for each in check.asserts}
        plain["asserts"] = [asserts[text] for text in sorted(asserts)]
        plain["max_redirects"] = 0
        plain["analysis"] = _conditions_of(check.analysis)
    return check.model_copy(update=plain).identity


def _conditions_of(analysis: Analysis | None) -> Analysis | None:
    """Return what measurements are judged by, where that is more than the check itself."""
    if analysis is None or not (analysis.success or analysis.failure):
        return None
    return Analysis(success=analysis.success, failure=analysis.failure)


def one_spelling(url: str) -> str:
    """Return what all spellings of an address have in common that ask the same.

    >>> one_spelling("HTTP://LocalHost:80/a/./health?#top")
    'http://localhost:80/a/health?'
    >>> one_spelling("http://127.0.0.1/a/health")
    'http://localhost:80/a/health?'
    """
    place = Place.of(url)
    if place is None or "${" in url:
        return url
    parts = urlsplit(url)
    path = unquote(parts.path) or "/"
    end = "/" if path.endswith(("/", "/.", "/..")) and path != "/" else ""
    plain = f"/{normpath(path).lstrip('/')}".rstrip("/") + end or "/"
    return f"{place.scheme}://{place.host}:{place.port}{plain}?{parts.query}"


NAMING = "oneiric validation init --prod-url https://api.example.com, or set PROD_URL"
"""What to do where the address of production is not set."""

_SAYS_NOTHING = frozenset({"id", "timeout", "retry", "attempts", "max_body_bytes", "capture"})


def whole_url(url: str, prod_url: str) -> str:
    """Return *url*, or where it is a path, the address below that of production.

    Raises:
        InvalidError: as for `placed`.
    """
    if url.startswith("${"):
        return url  # what was captured may be a whole address
    if not is_path(url):
        return checked_url(url)
    if not prod_url:
        what = f"{url} is a path, and the address of production is not set"
        raise InvalidError(what, hint=NAMING)
    return f"{prod_url.rstrip('/')}/{url.lstrip('/')}"


def is_path(url: str) -> bool:
    """Tell whether an address is one below that of production.

    >>> is_path("/login?next=https://example.com"), is_path("https://example.com/login")
    (True, False)
    """
    return not url.startswith("${") and "://" not in url.partition("?")[0]


def checked_url(url: str) -> str:
    """Return *url* if it is an address of the web.

    >>> checked_url("ftp://example.com")
    Traceback (most recent call last):
    oneiric.errors.InvalidError: no address such as https://api.example.com

    Raises:
        InvalidError: it is none; it is not repeated, for it may hold a password.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = "${" in url  # such as a port that is captured
    if not usable:
        raise InvalidError("no address such as https://api.example.com")
    return url
