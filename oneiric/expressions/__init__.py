"""Texts that refer to values: one small language for plans, recipes and conditions.

Literals, lists, `and`, `or`, `not`, comparisons, `in`, attributes, indexes, `len(x)` and
`default(x, other)`; nothing else, no calls into Python, and nothing that could take long.
"""

from oneiric.expressions.errors import ExpressionError
from oneiric.expressions.grammar import Scope
from oneiric.expressions.rewrite import expressions_in, renamed, translated
from oneiric.expressions.template import Condition, Template

__all__ = [
    "Condition",
    "ExpressionError",
    "Scope",
    "Template",
    "expressions_in",
    "renamed",
    "translated",
]
