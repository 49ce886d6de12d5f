"""OpenAPI documents: read them, compare two of them, and hold an answer to one.

Everything here is pure: bytes and values come in, values go out; nothing is fetched.
"""

from oneiric.validation.openapi.conformance import conformance
from oneiric.validation.openapi.diff import Difference, compare, diff
from oneiric.validation.openapi.document import Document, read_document
from oneiric.validation.openapi.ignored import Ignored, read_ignored
from oneiric.validation.openapi.operations import Operation
from oneiric.validation.openapi.routes import Route, routes_of
from oneiric.validation.openapi.rules import RULES, Rule, rule_table

__all__ = [
    "RULES",
    "Difference",
    "Document",
    "Ignored",
    "Operation",
    "Route",
    "Rule",
    "compare",
    "conformance",
    "diff",
    "read_document",
    "read_ignored",
    "routes_of",
    "rule_table",
]
