"""How much a document may ask of its reader, and which language it is written in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, TypeAlias

from oneiric.errors import DocumentError

Kind: TypeAlias = Literal["json", "yaml", "toml"]
"""The languages that documents are written in."""

_SUFFIXES: Mapping[str, Kind] = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """Bound what reading one document may cost.

    Args:
        max_bytes: length of the document; YAML aliases written out count too.
        max_depth: tables and lists within each other; `[[1]]` is 2 deep.
        max_aliases: how often a YAML document may refer back to an anchor.
        max_nodes: tables, lists and single values, YAML aliases written out.
    """

    max_bytes: int = 1 << 20
    max_depth: int = 64
    max_aliases: int = 32
    max_nodes: int = 200_000


DEFAULT_LIMITS = DocumentLimits()


def kind_of(path: str | PurePath) -> Kind:
    """Tell the language of a file by its suffix, in either case.

    >>> kind_of("manifests/local.YML")
    'yaml'

    Raises:
        DocumentError: the suffix is none of `.json`, `.yaml`, `.yml`, `.toml`.
    """
    kind = _SUFFIXES.get(PurePath(path).suffix.lower())
    if kind is None:
        raise DocumentError(
            "unknown-kind", f"its name must end in {', '.join(_SUFFIXES)}", source=str(path)
        )
    return kind
