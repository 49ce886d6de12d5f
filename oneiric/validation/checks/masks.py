"""Keep what is secret about a check, and about its answer, out of its proof."""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from oneiric.documents.leaves import leaves_in
from oneiric.errors import JSONValue
from oneiric.text.masking import Masking
from oneiric.text.redaction import MASK, is_secret_name, redacted
from oneiric.validation.addresses import has_parts, is_query_secret, shown_address
from oneiric.validation.checks.answer import NO_JSON, Answer
from oneiric.validation.checks.spec import LiveCheck

WINDOW = 64 << 10
"""Bytes of an answer that an excerpt is made from."""
SHORTEST = 6
"""Characters from which on a secret that a check declares is looked for everywhere."""
SHORTEST_TAKEN = 4
"""Characters from which on what a check took from an answer is looked for everywhere."""
_SHOWN = 200
_EXACT = 2**53 - 1

_SHAPES = re.compile(
    r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|(?<=bearer )[A-Za-z0-9._~+/=-]{8,}|(?<=basic )[A-Za-z0-9+/=]{8,}"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
    r"|\b(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[abp])[-_][A-Za-z0-9_-]{16,}|\bAKIA[A-Z0-9]{16}",
    re.IGNORECASE,
)
_PAIRS = re.compile(r"""(["'])([^"'\\\n]{1,64})\1\s*:\s*("(?:[^"\\]|\\.)*"?|[^\s,}\]]+)""")
_TRIGGERS = re.compile(r"eyJ|bearer |basic |PRIVATE KEY|[sprg][khlo]|xox|AKIA", re.IGNORECASE)


class Masks:
    """Mask the secrets of one check wherever they show.

    Those that were captured are masked whatever they are; those that the check declares, under
    names of secrets, where they are long enough to be nothing else by chance.
    """

    __slots__ = ("_masking",)

    def __init__(self, check: LiveCheck, captured: Iterable[JSONValue] = ()) -> None:
        self._masking = Masking({*_written_in(list(captured)), *_declared(check)})

    def text(self, text: str) -> str:
        """Return *text* without secrets."""
        text = without_keys(text)
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()
        return self._masking.text(text) if self._masking else text

    def shown(self, value: object, *, name: str = "") -> JSONValue:
        """Return *value* for people: short, and a mask where it stands under the name of a secret.

        Numbers stay what they are, where nobody could mistake them for a secret.
        """
        if is_secret_name(name) and value is not None:
            return MASK
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._number(value)
        text = value if isinstance(value, str) else _written(redacted(value))
        text = self.text(_pairs(text[: 4 * _SHOWN]))
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"

    def _number(self, value: float) -> JSONValue:
        if not self._masking and abs(value) <= _EXACT:
            return value
        text = json.dumps(value)
        masked = self.text(text)
        return value if masked == text and abs(value) <= _EXACT else masked

    def url(self, url: str) -> str:
        """Return an address without user, password, fragment and what is secret in its query."""
        return self.text(shown_address(url))

    def excerpt(self, answer: Answer) -> str:
        """Return what people may see of an answer: of JSON the values, of anything else the text.

        It is made from the first `WINDOW` bytes, and no part of a secret shows at its end.
        """
        if len(answer.body) <= WINDOW and _is_plain(answer.text):
            return self.text(answer.text)
        if len(answer.body) <= WINDOW and answer.value is not NO_JSON:
            return self.text(json.dumps(redacted(answer.value), ensure_ascii=False))
        text = _pairs(answer.text[:WINDOW])
        stream = self._masking.stream()
        data = stream.feed(_SHAPES.sub(MASK, text).encode("utf-8", "replace"))
        if len(answer.text) <= WINDOW:
            data += stream.end()
        return data.decode("utf-8", "replace")

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return a head without secrets."""
        return {
            name: MASK if is_secret_name(name) else self.text(text)
            for name, text in headers.items()
        }

    def body(self, body: JSONValue) -> JSONValue:
        """Return what is sent without secrets."""
        text = self.text(_written(redacted(body)))
        try:
            value: JSONValue = json.loads(text)
        except ValueError:
            return text
        return value

    def curl(self, check: LiveCheck, url: str) -> str:
        """Return a line for a shell that repeats the request, with its secrets masked.

        *url* is its address, masked already.
        """
        words: list[str] = []
        if check.method == "HEAD":
            words.append("--head")
        elif check.method != "GET":
            words += ["-X", check.method]
        if check.max_redirects:
            words += ["-L", "--max-redirs", str(check.max_redirects)]
        for name, text in self.headers(check.headers).items():
            words += ["-H", f"{name}: {text}"]
        if check.body is not None:
            if not any(name.lower() == "content-type" for name in check.headers):
                words += ["-H", "Content-Type: application/json"]
            words += ["--data-raw", self.text(_written(redacted(check.body)))]
        return f"curl -sS --max-time {check.timeout:g} {shlex.join([*words, url])}"


def secrets_among(captured: Mapping[str, JSONValue]) -> Iterator[str]:
    """Yield what was captured and may be a secret: all but short values, of no secret's name.

    The number 1 of a first user is none: masked, it would take every address apart.

    >>> sorted(secrets_among({"user": {"id": 1, "token": "ab"}, "pin": "4711", "secret.A": "x"}))
    ['4711', 'ab', 'x']
    """
    yield from _secrets_in(captured)
    yield from (text for text in _written_in(captured) if len(text) >= SHORTEST_TAKEN)


def without_keys(text: str) -> str:
    """Return *text* without what looks like a key or a token, whoever wrote it there."""
    return _SHAPES.sub(MASK, text) if _TRIGGERS.search(text) else text


def secrets_of(url: str) -> Iterator[str]:
    """Yield user, password and what is secret in the query of an address."""
    parts = urlsplit(url) if has_parts(url) else SplitResult("", "", "", "", "")
    if "@" in parts.netloc:
        user = parts.netloc.rpartition("@")[0]
        yield user
        yield from (unquote(each) for each in user.partition(":")[::2])
    if parts.query:
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        yield from (value for name, value in pairs if is_query_secret(name, value))


def _is_plain(text: str) -> bool:
    """Tell whether a text names no secret, not even by escapes, and holds no address."""
    return not ("\\" in text or "=" in text or "://" in text or is_secret_name(text))


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _pairs(text: str) -> str:
    return _PAIRS.sub(_pair, text) if ":" in text else text


def _pair(found: re.Match[str]) -> str:
    quotes, name, _ = found.groups()
    return f'{quotes}{name}{quotes}: "{MASK}"' if is_secret_name(name) else found[0]


def _written_in(value: object) -> Iterator[str]:
    """Yield every text and number in *value*, as it is written."""
    for leaf in leaves_in(value):
        if isinstance(leaf, str):
            yield leaf
        elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
            yield json.dumps(leaf)


def _declared(check: LiveCheck) -> Iterator[str]:
    """Yield what a check sends under names of secrets."""
    found: list[str] = []
    for name, text in check.headers.items():
        if is_secret_name(name):
            found += [text, *_parts(text)]
    found += secrets_of(check.url)
    if isinstance(check.body, Mapping | list):
        found += _secrets_in(check.body)
    return (each for each in found if len(each) >= SHORTEST)


def _parts(text: str) -> Iterator[str]:
    """Yield the secret of a header such as `Bearer TOKEN`, and what base64 says in it."""
    _, _, rest = text.partition(" ")
    if rest:
        yield rest
        try:
            said = base64.b64decode(rest, validate=True).decode()
        except (binascii.Error, ValueError):
            return
        yield said
        yield said.partition(":")[2]
    yield from (each.partition("=")[2] for each in text.split("; ") if "=" in each)


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            if is_secret_name(str(name)):
                yield from _written_in(each)
            else:
                yield from _secrets_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from _secrets_in(each)
