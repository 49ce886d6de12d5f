"""What must hold after a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneiric.recipes.context import Context


def unmet(success: Mapping[str, Any], context: Context, folder: Path) -> list[str]:
    """Return everything that should hold after a step and does not, in a few words each."""
    return list(_unmet(success, context, folder))


def _unmet(success: Mapping[str, Any], context: Context, folder: Path) -> Iterator[str]:
    for key in success.get("ctx_has_keys", ()):
        if key not in context:
            yield f"the context has no {key}"
    for name in success.get("files_exist", ()):
        if not (folder / name).exists():
            yield f"there is no file {name}"
