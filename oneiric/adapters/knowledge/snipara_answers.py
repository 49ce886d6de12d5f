"""What Snipara answers: every way in which it says yes, and every one in which it says no."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from oneiric.documents import DocumentLimits, parse
from oneiric.errors import DocumentError, JSONValue
from oneiric.ports.errors import (
    AdapterError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
)
from oneiric.ports.http import HTTPResponse
from oneiric.ports.knowledge import Document
from oneiric.text.masking import Masking
from oneiric.text.printable import printable
from oneiric.text.redaction import MASK

LIMITS = DocumentLimits(max_bytes=4 << 20)
LONGEST_REASON = 200
WRONG_PARAMETERS = -32602
_NO_TOOL = re.compile(r"not available|not found|unknown tool|no such tool", re.IGNORECASE)
_KEY = re.compile(r"\bsnp-[A-Za-z0-9_-]+")
_Kind: TypeAlias = Callable[[str, str], AdapterError]


def _absent(backend: str, said: str) -> AdapterError:
    return NotFoundError(backend, "entry of that id:", said)


_KINDS: tuple[tuple[re.Pattern[str], _Kind], ...] = tuple(
    (re.compile(words, re.IGNORECASE), kind)
    for words, kind in (
        (r"rate limit|too many|quota|monthly limit", RateLimitedError),
        (r"not found|does not exist|\bno (such|swarm|task|memory)\b", _absent),
        (r"mismatch|conflict|already|is blocked|has its \d+ agents|is full", ConflictError),
        (r"permission|denied|forbidden|\bscope\b|unauthori[sz]ed|api key", PermissionDeniedError),
        (r"require|missing|must|invalid|only|higher level", InvalidRequestError),
    )
)
"""What the words of a refusal mean, the first that fits; Snipara has no codes for them."""


class UnknownToolError(InvalidRequestError):
    """It takes no such tool, or not these arguments; it says the same of both."""

    code = "unknown-tool"

    @property
    def is_about_name(self) -> bool:
        """Whether its words are about the tool, and not about the arguments."""
        return _NO_TOOL.search(self.reason) is not None


@dataclass(frozen=True, slots=True)
class Answers:
    """Read answers of one endpoint; no error shows the key, or more than a line of what it said."""

    backend: str
    masking: Masking

    def result(self, answer: HTTPResponse, number: int) -> JSONValue:
        """Return the result that a JSON-RPC answer to request *number* holds.

        Raises:
            AdapterError: it refuses, answers another request, or is no JSON-RPC at all.
        """
        message = self._message(answer, number)
        error, id_ = message.get("error"), message.get("id")
        if id_ != number and not (id_ is None and error is not None):
            raise self._strange("answered another request")
        if error is not None:
            raise self._refused(error)
        if "result" not in message:
            raise self._strange("answered neither a result nor an error")
        return message["result"]

    def document(self, result: JSONValue) -> Document:
        """Return the document that the result of a tool holds.

        Raises:
            AdapterError: the tool refuses, or there is no document.
        """
        if not isinstance(result, dict):
            raise self._strange("answered no result of a tool")
        text = _text(result)
        if result.get("isError"):
            raise self._refused(self._parsed(text) or text or "no reason")
        found = result.get("structuredContent")
        document = found if isinstance(found, dict) else self._parsed(text)
        if not isinstance(document, dict):
            raise self._strange("answered with what is no JSON document")
        if document.get("success") is False or (
            document.get("error") and document.get("success") is not True
        ):
            raise self._refused(document)
        return document

    def _message(self, answer: HTTPResponse, number: int) -> Mapping[str, JSONValue]:
        content = answer.content.strip()
        if not content:
            raise self._strange(f"answered {answer.status_code} with nothing")
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if kind == "text/event-stream" or content.startswith((b"data:", b"event:", b":")):
            found = [self._parsed(each) for each in _events(answer.text)]
        else:
            parsed = self._parsed(content)
            found = parsed if isinstance(parsed, list) else [parsed]
        messages = [each for each in found if isinstance(each, dict) and _is_reply(each)]
        if not messages:
            raise self._strange("answered with what is no JSON-RPC")
        return next((each for each in messages if each.get("id") == number), messages[0])

    def _parsed(self, text: str | bytes) -> JSONValue:
        """Return JSON as a value, or None where it is none."""
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        try:
            return parse(data, "json", limits=LIMITS)
        except DocumentError:
            return None

    def _refused(self, error: JSONValue) -> AdapterError:
        """Return what a refusal means, whatever shape it has."""
        said = self._shown(_reason(error))
        table = error if isinstance(error, dict) else {}
        if table.get("code") == WRONG_PARAMETERS:
            return UnknownToolError(self.backend, said)
        if "current_version" in table:
            return ConflictError(self.backend, said)
        for words, kind in _KINDS:
            if words.search(said):
                return kind(self.backend, said)
        return AdapterError(self.backend, said)

    def _strange(self, reason: str) -> AdapterError:
        return AdapterError(self.backend, reason)

    def _shown(self, said: str) -> str:
        masked = _KEY.sub(MASK, self.masking.text(said))
        line = " ".join(printable(masked).split())
        return line[:LONGEST_REASON] or "refused without a reason"


def _text(result: Mapping[str, JSONValue]) -> str:
    content = result.get("content")
    for each in content if isinstance(content, list) else []:
        if isinstance(each, dict) and isinstance(each.get("text"), str):
            return str(each["text"])
    return ""


def _reason(error: JSONValue) -> str:
    """Return what an error says: a text, or what a table holds in one of the usual places."""
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return ""
    places = map(error.get, ("message", "error", "detail"))
    return next(filter(None, map(_reason, places)), "")


def _is_reply(message: Mapping[str, JSONValue]) -> bool:
    return "result" in message or "error" in message


def _events(text: str) -> Iterator[str]:
    """Yield the data of each server-sent event."""
    for event in re.split(r"\r?\n\r?\n", text):
        lines = [line.removeprefix("data:") for line in event.splitlines() if line[:5] == "data:"]
        if lines:
            yield "\n".join(lines)
