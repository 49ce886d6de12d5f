"""Bytes to a plain JSON value, strictly, and a value to canonical bytes and a digest.

A document means the same to every reader: what two parsers could read in two
ways (duplicate keys, YAML tags, `NaN`, integers beyond what a double holds) is
refused here, before any content is used.
"""

from oneiric.documents.canon import canonical, digest, json_value
from oneiric.documents.limits import DEFAULT_LIMITS, DocumentLimits, Kind, kind_of
from oneiric.documents.places import line_of
from oneiric.documents.reader import locate, parse

__all__ = [
    "DEFAULT_LIMITS",
    "DocumentLimits",
    "Kind",
    "canonical",
    "digest",
    "json_value",
    "kind_of",
    "line_of",
    "locate",
    "parse",
]
