"""Answers held to the OpenAPI documents of the repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from oneiric.errors import InvalidError, Problem
from oneiric.files import confined, read_bounded
from oneiric.validation.checks.answer import Answer
from oneiric.validation.checks.spec import Conformance
from oneiric.validation.openapi.conformance import conformance
from oneiric.validation.openapi.document import Document, read_document

MAX_BYTES = 32 << 20
_MOST_KEPT = 20


class RepositoryContract:
    """Hold answers to documents below *repo*; each is read once, and again when it changed."""

    def __init__(self, repo: Path) -> None:
        self._repo = repo
        self._known: dict[str, tuple[int, Document]] = {}

    def __call__(self, wanted: Conformance, *, method: str, answer: Answer) -> Sequence[Problem]:
        """Return what about *answer* the document that is *wanted* does not allow.

        Raises:
            InvalidPathError, NotFoundError: there is no such file below the repository.
            DocumentError: it is no OpenAPI document.
            InvalidError: it has no operation of that name.
            DependencyMissingError: `oneiric[validation]` is not installed.
        """
        document = self._document(wanted.document)
        path = urlsplit(answer.url).path or "/"
        if wanted.operation:
            method, path = _named(document, wanted.operation)
        return conformance(
            document,
            method=method,
            path=path,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
        )

    def _document(self, name: str) -> Document:
        path = confined(self._repo, name)
        changed = path.stat().st_mtime_ns if path.is_file() else 0
        known = self._known.get(name)
        if known is None or known[0] != changed:
            folder = PurePosixPath(name).parent

            def beside(relative: str) -> bytes:
                return read_bounded(confined(self._repo, folder / relative), limit=MAX_BYTES)

            data = read_bounded(path, limit=MAX_BYTES)
            known = changed, read_document(data, source=name, beside=beside)
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[name] = known
        return known[1]


def _named(document: Document, operation: str) -> tuple[str, str]:
    for each in document.operations:
        if each.operation_id == operation:
            return each.method, each.path
    raise InvalidError(f"{document.source} has no operation {operation}")
