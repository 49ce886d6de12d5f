"""Documents of a folder: split into sections, and found again by their words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from oneiric.adapters.knowledge.search import found_by_words
from oneiric.adapters.knowledge.transaction import Given, Transaction
from oneiric.errors import JSONValue, OneiricError
from oneiric.files import confined, read_bounded
from oneiric.ports.knowledge import Document

LETTERS_A_TOKEN = 4
LEAST_TOKENS = 20
_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*\s*")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")

_KNOWN = "SELECT path, changed, size FROM files WHERE root = :root"
_KEEP_FILE = """
INSERT INTO files (root, path, changed, size) VALUES (:root, :path, :changed, :size)
"""
_KEEP = """
INSERT INTO sections (root, path, title, content, first, last)
VALUES (:root, :path, :title, :content, :first, :last)
"""
_WORDS = """
INSERT INTO section_words (rowid, title, content)
SELECT number, title, content FROM sections WHERE root = :root AND path = :path
"""
_FORGET = (
    """
    DELETE FROM section_words WHERE rowid IN (
        SELECT number FROM sections WHERE root = :root AND path = :path
    )
    """,
    "DELETE FROM sections WHERE root = :root AND path = :path",
    "DELETE FROM files WHERE root = :root AND path = :path",
)
_FIND = """
SELECT section_words.rowid, bm25(section_words, 4.0, 1.0)
FROM section_words JOIN sections ON sections.number = section_words.rowid
WHERE section_words MATCH :word AND root = :root
ORDER BY rank LIMIT 1000
"""
_ONE = "SELECT title, content, path, first, last FROM sections WHERE number = :number"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands below it, and its lines, counted from 1."""

    title: str
    content: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Page:
    """A file as it was read, or one that is gone."""

    path: str
    facts: tuple[int, int] | None
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Folder:
    """Which files are read, and how much of them at most."""

    path: Path
    patterns: tuple[str, ...]
    max_files: int
    max_file_bytes: int

    def files(self) -> dict[str, tuple[int, int]]:
        """Return when each file was changed, and its size; nothing outside of the folder."""
        root, found = self.path.resolve(), dict[str, tuple[int, int]]()
        for pattern in self.patterns:
            for path in sorted(root.glob(pattern)):
                name = path.relative_to(root).as_posix()
                if len(found) >= self.max_files:
                    return found
                if (facts := self._facts(root, name)) is not None:
                    found[name] = facts
        return found

    def page(self, name: str, facts: tuple[int, int] | None) -> Page:
        """Return a file in its sections; in none where it cannot be read, or is too long."""
        if facts is None:
            return Page(name, None, ())
        try:
            found = read_bounded(confined(self.path, name), limit=self.max_file_bytes)
        except OneiricError:
            return Page(name, facts, ())
        return Page(name, facts, tuple(sections_of(found.decode(errors="replace"), name=name)))

    def _facts(self, root: Path, name: str) -> tuple[int, int] | None:
        try:
            path = confined(root, name)
            facts = path.stat()
        except (OneiricError, OSError):
            return None
        return (facts.st_mtime_ns, facts.st_size) if path.is_file() else None


def sections_of(text: str, *, name: str) -> Iterator[Section]:
    r"""Split a document at its headings; what comes before the first has the name of the file.

    >>> [(each.title, each.first, each.last) for each in sections_of("a\n# B\nc\n", name="x.md")]
    [('x.md', 1, 1), ('B', 2, 3)]
    """
    title, first, is_fenced = name, 1, False
    held: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        is_fenced ^= _FENCE.match(line) is not None
        heading = None if is_fenced else _HEADING.fullmatch(line)
        if heading is not None:
            yield from _section(title, held, first)
            title, first, held = heading[1], number, []
        held.append(line)
    yield from _section(title, held, first)


def known(transaction: Transaction, folder: Folder) -> dict[str, tuple[int, int]]:
    """Return when each file that was read had been changed, and its size."""
    rows = transaction.rows(_KNOWN, {"root": str(folder.path)})
    return {path: (changed, size) for path, changed, size in rows}


def replace(transaction: Transaction, folder: Folder, pages: Iterable[Page]) -> None:
    """Put files in the place of what was known of them; those that are gone are forgotten."""
    for page in pages:
        place = {"root": str(folder.path), "path": page.path}
        for statement in _FORGET:
            transaction.rows(statement, place)
        if page.facts is None:
            continue
        changed, size = page.facts
        transaction.rows(_KEEP_FILE, {**place, "changed": changed, "size": size})
        for each in page.sections:
            values = {"title": each.title, "content": each.content}
            lines = {"first": each.first, "last": each.last}
            transaction.rows(_KEEP, {**place, **values, **lines})
        transaction.rows(_WORDS, place)


def query(transaction: Transaction, folder: Folder, given: Given) -> Document:
    """Return the sections that hold the words of the query, within so many tokens."""
    found = found_by_words(transaction, _FIND, {"root": str(folder.path)}, given["query"])
    left = given["max_tokens"]
    sections: list[JSONValue] = []
    for number, relevance in found:
        if left < LEAST_TOKENS and sections:
            break
        title, content, path, first, last = transaction.row(_ONE, {"number": number})
        shown = content[: left * LETTERS_A_TOKEN]
        tokens = -(-len(shown) // LETTERS_A_TOKEN)
        left -= tokens
        sections.append(
            {
                "title": title,
                "content": shown,
                "file": path,
                "lines": [first, last],
                "relevance_score": relevance,
                "token_count": tokens,
                "truncated": len(shown) < len(content),
            }
        )
    return {
        "sections": sections,
        "total_tokens": given["max_tokens"] - left,
        "max_tokens": given["max_tokens"],
        "query": given["query"],
        "search_mode": "keyword",
        "search_mode_downgraded": given["search_mode"] != "keyword",
        "suggestions": [],
    }


def _section(title: str, held: list[str], first: int) -> Iterator[Section]:
    content = "\n".join(held).strip()
    if content:
        yield Section(title, content, first, first + len(held) - 1)
