"""The language: text to a checked tree of closures, by an AST walk of our own."""

from __future__ import annotations

import ast
import operator
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from oneiric.errors import JSONValue
from oneiric.expressions.errors import ExpressionError, MissingError

Scope: TypeAlias = Mapping[str, "JSONValue | Callable[[], JSONValue]"]
"""What expressions may name: values, or functions that make one when it is asked for."""

Evaluate: TypeAlias = Callable[[Scope], JSONValue]
Reference: TypeAlias = tuple[str, ...]

MAX_LENGTH = 1_000
MAX_DEPTH = 20

_WORDS: Mapping[str, JSONValue] = MappingProxyType(
    {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
)
_ORDERS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = MappingProxyType(
    {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
)
_LARGEST: Mapping[type, float] = MappingProxyType(
    {bool: 1, int: 2**53 - 1, float: sys.float_info.max}
)
_ESCAPES = re.compile(r"\\[\\'\"nrt]")


class Compiled:
    """An expression that was found legal: what it refers to, and how its value is made.

    `needed` are the references for which no `default` stands in.
    """

    __slots__ = ("evaluate", "needed", "references")

    def __init__(
        self, evaluate: Evaluate, references: frozenset[Reference], needed: frozenset[Reference]
    ) -> None:
        self.evaluate = evaluate
        self.references = references
        self.needed = needed


def compiled(text: str) -> Compiled:
    """Check *text* and make what gives its value.

    Raises:
        ExpressionError: it is too long or too deep, or not in the language.
    """
    source = text.strip()
    if len(source) > MAX_LENGTH:
        raise ExpressionError(f"{source[:40]}…", f"longer than {MAX_LENGTH} characters")
    if "\\" in _ESCAPES.sub("", source):
        raise ExpressionError(source, r"only \\ \' \" \n \r \t may follow a backslash")
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError(source, "it is no expression") from None
    walk = _Walk(source)
    evaluate = walk.compile(tree.body, 1)
    return Compiled(evaluate, frozenset(walk.references), frozenset(walk.needed))


class _Walk:
    """One pass over a tree: refuse what is not in the language, and gather references."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.references: set[Reference] = set()
        self.needed: set[Reference] = set()

    def compile(self, node: ast.expr, depth: int) -> Evaluate:
        """Return what gives the value of *node*."""
        if depth > MAX_DEPTH:
            raise self.error(f"deeper than {MAX_DEPTH} levels")
        match node:
            case ast.Constant() | ast.UnaryOp(op=ast.USub()):
                return self._literal(node)
            case ast.Name(id=name) if name in _WORDS:
                return lambda _: _WORDS[name]
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._path(node, depth)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                parts = [self.compile(item, depth + 1) for item in items]
                return lambda scope: [part(scope) for part in parts]
            case ast.BoolOp(op=op, values=values):
                return self._either(op, [self.compile(each, depth + 1) for each in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.compile(operand, depth + 1)
                return lambda scope: not inner(scope)
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, args, depth + 1)
            case _:
                raise self.error(f"{ast.unparse(node)} is not in the language")

    def error(self, problem: str) -> ExpressionError:
        """Return an error about the whole expression."""
        return ExpressionError(self.text, problem)

    def _literal(self, node: ast.expr) -> Evaluate:
        try:
            value = ast.literal_eval(node)
        except ValueError:
            value = ...
        if not isinstance(value, bool | int | float | str | None):
            raise self.error(f"{ast.unparse(node)} is not in the language")
        if isinstance(value, int | float) and not abs(value) <= _LARGEST[type(value)]:
            raise self.error("a number is too large for JSON")
        return lambda _: value

    def _path(self, node: ast.expr, depth: int) -> Evaluate:
        """Compile `name.key[index]…`, and note it as far as its keys are written out."""
        steps: list[Evaluate] = []
        literal: list[str] = []
        while not isinstance(node, ast.Name):
            match node:
                case ast.Attribute(value=inner, attr=key):
                    steps.append(lambda _, key=key: key)  # type: ignore[misc]
                    literal.append(key)
                case ast.Subscript(value=inner, slice=ast.Constant(value=str() | int() as key)):
                    steps.append(lambda _, key=key: key)  # type: ignore[misc]
                    literal.append(str(key))
                case ast.Subscript(value=inner, slice=index) if not isinstance(index, ast.Slice):
                    steps.append(self.compile(index, depth + 1))
                    literal.clear()
                case _:
                    raise self.error(f"{ast.unparse(node)} is not in the language")
            node = inner
            if len(steps) > MAX_DEPTH:
                raise self.error(f"deeper than {MAX_DEPTH} levels")
        name = node.id
        reference = (name, *reversed(literal))
        self.references.add(reference)
        self.needed.add(reference)
        keys = steps[::-1]
        return lambda scope: self._follow(scope, name, keys)

    def _follow(self, scope: Scope, name: str, keys: Sequence[Evaluate]) -> JSONValue:
        if name not in scope:
            known = ", ".join(sorted(scope))
            raise MissingError(self.text, f"there is no {name}, only {known}", path=name)
        found = scope[name]
        value: JSONValue = found() if callable(found) else found
        path = name
        for make in keys:
            key = make(scope)
            path = f"{path}.{key}"
            if isinstance(value, Mapping) and isinstance(key, str) and key in value:
                value = value[key]
            elif _is_list(value) and _is_index(key, len(value)):  # type: ignore[arg-type]
                value = value[key]  # type: ignore[index]
            else:
                raise MissingError(self.text, f"there is no {path}", path=path)
        return value

    def _either(self, op: ast.boolop, parts: Sequence[Evaluate]) -> Evaluate:
        stops_at = isinstance(op, ast.Or)

        def evaluate(scope: Scope) -> JSONValue:
            value: JSONValue = None
            for part in parts:
                value = part(scope)
                if bool(value) is stops_at:
                    break
            return value

        return evaluate

    def _comparison(self, node: ast.Compare, depth: int) -> Evaluate:
        if len(node.ops) > 1:
            raise self.error("one comparison at a time; join them with and")
        left, right = (self.compile(n, depth + 1) for n in (node.left, node.comparators[0]))
        kind = type(node.ops[0])
        if kind in (ast.Eq, ast.NotEq):
            return lambda scope: equal(left(scope), right(scope)) is (kind is ast.Eq)
        if kind in (ast.In, ast.NotIn):
            return lambda scope: self._holds(right(scope), left(scope)) is (kind is ast.In)
        if kind in _ORDERS:
            compare = _ORDERS[kind]
            return lambda scope: self._order(compare, left(scope), right(scope))
        raise self.error("compare with ==, !=, <, <=, >, >=, in or not in")

    def _holds(self, whole: JSONValue, part: JSONValue) -> bool:
        if isinstance(whole, str) and isinstance(part, str):
            return part in whole
        if isinstance(whole, Mapping):
            return isinstance(part, str) and part in whole
        if _is_list(whole):
            return any(equal(each, part) for each in whole)  # type: ignore[union-attr]
        raise self.error(f"{_kind(part)} cannot be in {_kind(whole)}")

    def _order(
        self, compare: Callable[[Any, Any], bool], left: JSONValue, right: JSONValue
    ) -> bool:
        kinds = {_kind(left), _kind(right)}
        if kinds not in ({"a number"}, {"a text"}):
            raise self.error(f"{_kind(left)} and {_kind(right)} have no order")
        return compare(left, right)

    def _call(self, name: str, args: Sequence[ast.expr], depth: int) -> Evaluate:
        if name == "len" and len(args) == 1:
            whole = self.compile(args[0], depth)
            return lambda scope: self._length(whole(scope))
        if name == "default" and len(args) == 2:
            needed = set(self.needed)
            wanted = self.compile(args[0], depth)
            self.needed = needed
            other = self.compile(args[1], depth)
            return lambda scope: _default(scope, wanted, other)
        raise self.error("only len(x) and default(x, other) can be called")

    def _length(self, value: JSONValue) -> int:
        if isinstance(value, str | Mapping | list | tuple):
            return len(value)
        raise self.error(f"{_kind(value)} has no length")


def _default(scope: Scope, wanted: Evaluate, other: Evaluate) -> JSONValue:
    try:
        value = wanted(scope)
    except MissingError:
        value = None
    return other(scope) if value is None else value


def equal(left: JSONValue, right: JSONValue) -> bool:
    """Tell whether two JSON values are the same; `true` is not 1."""
    if _kind(left) != _kind(right):
        return False
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    if _is_list(left):
        return len(left) == len(right) and all(map(equal, left, right))  # type: ignore[arg-type]
    return left == right


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _is_index(key: object, length: int) -> bool:
    return isinstance(key, int) and not isinstance(key, bool) and -length <= key < length


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if _is_list(value) else "a table"
