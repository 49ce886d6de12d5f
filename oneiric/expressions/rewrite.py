"""Tell expressions in the words of another scope: what recipes write, as plans read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from oneiric.errors import JSONValue
from oneiric.expressions.errors import ExpressionError
from oneiric.expressions.grammar import compiled
from oneiric.expressions.template import pieces

OPENING, CLOSING = "${{", "}}"
"""How recipes mark their expressions."""


def expressions_in(text: str) -> Iterator[str]:
    """Yield the expressions that *text* holds.

    >>> list(expressions_in("${{ inputs.src }} and ${{ env.LANG }}"))
    [' inputs.src ', ' env.LANG ']

    Raises:
        ExpressionError: one is never closed.
    """
    return (part for is_marked, part in pieces(text, OPENING, CLOSING) if is_marked)


def renamed(text: str, roots: Mapping[str, str]) -> str:
    """Return the expression *text* with each name that it begins a path with told anew.

    >>> renamed("inputs.n > 1 and ctx['a.b_v1']", {"inputs": "input.inputs", "ctx": "context"})
    "input.inputs.n > 1 and context['a.b_v1']"

    Raises:
        ExpressionError: it is not in the language, or begins a path with another name.
    """
    found = compiled(text)
    for reference in sorted(found.references):
        if reference[0] not in roots:
            known = ", ".join(sorted(roots))
            raise ExpressionError(text.strip(), f"there is no {reference[0]}, only {known}")
    tree = _Renaming(roots).visit(ast.parse(text.strip(), mode="eval"))
    return ast.unparse(tree)


def translated(value: JSONValue, roots: Mapping[str, str]) -> JSONValue:
    """Return *value* with the expressions of its texts as `${ … }`, told by `renamed`.

    >>> translated({"to": "${{ inputs.to }}", "home": "${HOME}"}, {"inputs": "input"})
    {'to': '${ input.to }', 'home': '$${HOME}'}

    Raises:
        ExpressionError: as `renamed` does, or one is never closed.
    """
    if isinstance(value, str):
        return "".join(
            f"${{ {renamed(part, roots)} }}" if is_marked else part.replace("${", "$${")
            for is_marked, part in pieces(value, OPENING, CLOSING)
        )
    if isinstance(value, Mapping):
        return {key: translated(each, roots) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [translated(each, roots) for each in value]
    return value


class _Renaming(ast.NodeTransformer):
    def __init__(self, roots: Mapping[str, str]) -> None:
        self._roots = roots

    def visit_Name(self, node: ast.Name) -> ast.expr:
        told = self._roots.get(node.id)
        return node if told is None else ast.parse(told, mode="eval").body

    def visit_Call(self, node: ast.Call) -> ast.Call:
        node.args = [self.visit(each) for each in node.args]  # `len` and `default` stay
        return node
