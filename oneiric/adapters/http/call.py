"""One request, checked and complete, and the one that a redirect makes of it."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from oneiric.ports.errors import InvalidRequestError, PermissionDeniedError
from oneiric.ports.http import RequestOptions, origin
from oneiric.text.tracing import here

REDIRECTS = frozenset({301, 302, 303, 307, 308})
HARMLESS = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-type", "range", "user-agent"}
)
"""The header fields that may follow a redirect to another host; any other may be a credential."""

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Call:
    """Hold what goes over the wire, in words of no library; `repr` shows no header or body."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(repr=False)

    @property
    def origin(self) -> str:
        """Scheme, host and port, which may be shown."""
        return origin(self.url)

    def redirected(self, status: int, location: str) -> "Call":
        """Return the call that an answer with *status* and *location* asks for.

        The method becomes GET and the body is dropped where browsers do so.
        On another host only harmless header fields are kept.

        Raises:
            PermissionDeniedError: it leads from https to http.
            InvalidRequestError: it leads to no HTTP address.
        """
        url = _address(urljoin(self.url, location), keep_user=False)
        if self.url.startswith("https:") and not url.startswith("https:"):
            raise PermissionDeniedError(self.origin, "redirects from https to http")
        call = replace(self, url=url)
        if origin(url) != self.origin:
            kept = {name: text for name, text in self.headers.items() if name.lower() in HARMLESS}
            call = replace(call, headers=kept)
        becomes_get = self.method == "POST" if status in (301, 302) else status == 303
        if becomes_get and self.method != "HEAD":
            kept = {k: v for k, v in call.headers.items() if k.lower() != "content-type"}
            call = replace(call, method="GET", content=None, headers=kept)
        return call


def prepare(
    method: str, url: str, options: RequestOptions, *, base_url: str, headers: Mapping[str, str]
) -> Call:
    """Compose a call; *headers* are added when it goes to the host of *base_url*, or to any
    where that is empty, and so is the present place in a trace, if there is one.

    Raises:
        InvalidRequestError: the address is not HTTP, more than one body is given, or the
            timeout is no time.
    """
    timeout = options.get("timeout")
    if timeout is not None and not 0 < timeout < math.inf:
        raise InvalidRequestError("http", f"a timeout is seconds above zero, not {timeout!r}")
    if base_url and not _ABSOLUTE.match(url):
        url = f"{base_url.rstrip('/')}/{url.lstrip('/')}" if url else base_url
    url = _address(url, keep_user=True)
    if params := options.get("params"):
        parts = urlsplit(url)
        query = "&".join(filter(None, (parts.query, urlencode(params))))
        url = urlunsplit(parts._replace(query=query))
    content, kind = _body(options)
    trusted = not base_url or origin(url) == origin(base_url)
    fields: dict[str, tuple[str, str]] = {"user-agent": ("User-Agent", "oneiric")}
    for more in (
        headers if trusted else {},
        {"Content-Type": kind} if kind else {},
        options.get("headers") or {},
    ):
        fields |= {name.lower(): (name, text) for name, text in more.items()}
    if (place := here()) is not None:
        fields.setdefault("traceparent", ("traceparent", str(place)))
    return Call(method.upper(), url, dict(fields.values()), content)


def _body(options: RequestOptions) -> tuple[bytes | None, str]:
    given = [name for name in ("json", "content", "data") if options.get(name) is not None]
    if len(given) > 1:
        raise InvalidRequestError("http", f"one body at most, not {' and '.join(given)}")
    if given == ["json"]:
        try:
            text = json.dumps(options["json"], allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequestError("http", "the json body is no JSON value") from error
        return text.encode(), "application/json"
    if given == ["data"]:
        form = urlencode(cast(Mapping[str, str], options["data"]))
        return form.encode(), "application/x-www-form-urlencoded"
    return options.get("content"), ""


def _address(url: str, *, keep_user: bool) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidRequestError("http", "the address cannot be read") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidRequestError("http", "an address begins with http:// or https:// and a host")
    netloc = parts.netloc if keep_user else parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=netloc))
