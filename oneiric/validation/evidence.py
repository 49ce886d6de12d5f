"""The files that proofs name, held to the digests that they had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.errors import NotFoundError, OneiricError, Problem
from oneiric.files import read_bounded

if TYPE_CHECKING:
    from oneiric.validation.ledger import Entry

MAX_BYTES = 64 << 20
"""Bytes of the longest file that is read; no picture that was kept is longer."""

_FILES = ("screenshot",)
"""By which name a proof has the path of a file among its facts, and its digest."""


def missing_evidence(entries: Iterable[Entry], folder: Path) -> list[Problem]:
    """Return each file of a proof that is gone, or is not what was seen, by its entry's number.

    Paths are seen from *folder*, the repository. A proof that says that nothing was kept lacks
    nothing.
    """
    problems = []
    for entry in entries:
        for name in _FILES:
            path, digest = entry.proof.facts.get(name), entry.proof.digests.get(name)
            if isinstance(path, str) and digest and (why := _amiss(folder, path, digest)):
                problems.append(Problem(str(entry.seq), f"its {name} {why}", "evidence"))
    return problems


def _amiss(folder: Path, path: str, digest: str) -> str:
    """Return why a file is not the one of that digest, or an empty text."""
    try:
        data = read_bounded(folder / path, limit=MAX_BYTES)
    except NotFoundError:
        return f"{path} is missing"
    except OneiricError as error:
        return f"cannot be read: {error.message}"
    is_same = f"sha256:{hashlib.sha256(data).hexdigest()}" == digest
    return "" if is_same else f"{path} is another than was seen"
