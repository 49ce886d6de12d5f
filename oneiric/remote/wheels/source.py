"""Where a wheel's code asks for itself by a text that another version might answer to.

Its modules live under a name of their own version, and its import statements are led there. A
text such as `import_module("shop.prices")` is not: it would find nothing, or worse, something.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from oneiric.remote.errors import SelfImportError
from oneiric.remote.wheels.archive import Archive
from oneiric.remote.wheels.metadata import WheelMetadata
from oneiric.remote.wheels.requirements import normalized

_LONGEST = 2 << 20
_ASKING = frozenset(
    {
        "import_module",
        "find_spec",
        "find_loader",
        "get_loader",
        "resolve_name",
        "run_module",
        "run_path",
        "files",
        "path",
        "contents",
        "is_resource",
        "read_text",
        "read_binary",
        "open_text",
        "open_binary",
        "get_data",
        "iter_entry_points",
        "resource_filename",
        "resource_string",
        "resource_stream",
        "get_distribution",
        "require",
        "version",
        "metadata",
        "distribution",
        "requires",
        "entry_points",
    }
)
"""What asks for a module, its resources or its distribution by name."""


def check_source(archive: Archive, found: WheelMetadata, *, wheel: str) -> None:
    """Pass if no file asks for the wheel's own modules or distribution by a text.

    Relative names (`import_module(".prices", __package__)`) and objects (`files(package)`) are
    fine, and so is every import statement.

    Raises:
        SelfImportError: one does; names the file and the line.
        WheelTooLargeError: a file of source is too long to be looked at.
    """
    own = found.modules | {found.name, normalized(found.name)}
    words = "|".join(re.escape(name) for name in sorted(own))
    literal = re.compile(rf"[\"'](?:{words})[.:\"']".encode())
    for name in archive.names:
        if not name.endswith(".py"):
            continue
        source = archive.read(name, limit=_LONGEST)
        if not literal.search(source):
            continue
        for line, text in _asked(source, own):
            reason = f"{name}:{line} asks for {text!r} by name"
            hint = "use an import statement, a relative name, or the module itself"
            raise SelfImportError(wheel, reason, hint=hint)


def _asked(source: bytes, own: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield line and text of each request; what is no Python fails when it is loaded."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        for given in _names_in(node):
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                text = given.value
                if text in own or text.partition(":")[0].partition(".")[0] in own:
                    yield given.lineno, text


def _names_in(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        called = node.func
        is_attribute = isinstance(called, ast.Attribute)
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in _ASKING or (is_attribute and name == "__import__"):
            yield from node.args[:1]
            yield from (each.value for each in node.keywords if each.arg)
    if isinstance(node, ast.Subscript) and getattr(node.value, "attr", "") == "modules":
        yield node.slice
