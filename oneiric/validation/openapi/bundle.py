"""A document that is spread over files, put together as one."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast
from urllib.parse import quote

from oneiric.errors import DocumentError, JSONValue
from oneiric.validation.openapi.references import reference_of, tables_in

Beside: TypeAlias = Callable[[str], bytes]
"""Gives the bytes of a file by its path from the document, such as `../schemas/user.json`."""

MAX_FILES = 1_000
KEY = "x-files"
"""Where in the document the other files are kept, by their paths."""

Read: TypeAlias = Callable[[bytes, str], JSONValue]


def bundled(root: dict[str, JSONValue], source: str, beside: Beside, read: Read) -> None:
    """Put every file that *root* refers to into it, and let the references lead there.

    What is asked of *beside* are relative paths alone; it decides what may be read. References
    to other machines stay as they are, and are refused later.

    Raises:
        DocumentError: a file is none that can be read, or there are more than `MAX_FILES`.
    """
    files: dict[str, JSONValue] = {}
    waiting: list[tuple[JSONValue, str]] = [(root, "")]
    while waiting:
        node, path = waiting.pop()
        for table, _ in tables_in(node):
            reference = reference_of(table)
            name, _, pointer = reference.partition("#")
            if not reference or (not name and not path) or _is_far(name):
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
            target = target if name else path
            if target not in files and target != ".":
                if len(files) >= MAX_FILES:
                    what = f"it refers to more than {MAX_FILES} files"
                    raise DocumentError("too-large", what, source=source)
                files[target] = read(beside(target), f"{source}: {target}")
                waiting.append((files[target], target))
            cast("dict[str, JSONValue]", table)["$ref"] = _within(target, pointer)
    if files:
        root[KEY] = cast("Mapping[str, JSONValue]", files)


def _within(target: str, pointer: str) -> str:
    name = quote(target.replace("~", "~0").replace("/", "~1"), safe="~")
    return f"#/{KEY}/{name}{pointer.rstrip('/')}"


def _is_far(name: str) -> bool:
    return ":" in name or name.startswith("/")
