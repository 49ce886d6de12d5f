"""The budgets: how long things may be, what must be documented, what a signature may say."""

import ast
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

from tests.architecture.floors import (
    ANY_ALLOWED,
    ERASED,
    FILE_LIMIT,
    FUNCTION_LIMIT,
    KERNEL,
    KERNEL_LIMIT,
)
from tests.architecture.source import FUNCTIONS, Finding, Function, House, Module, dotted

_EXEMPT_DECORATORS = ("overload", "override", "setter", "deleter")


def files_are_short(house: House) -> Iterator[Finding]:
    """Find files with more lines of code than one concept needs."""
    for module in house.modules:
        count = len(module.code_lines)
        if count > FILE_LIMIT:
            what = f"{count} lines of code, {FILE_LIMIT} allowed"
            yield module.finding("files-are-short", 1, what)


def functions_are_short(house: House) -> Iterator[Finding]:
    """Find functions too long to be read at once."""
    for module in house.modules:
        lines = module.code_lines
        for function in module.functions:
            end = function.end_lineno or function.lineno
            count = bisect_right(lines, end) - bisect_left(lines, function.lineno)
            if count > FUNCTION_LIMIT:
                what = f"{function.name} has {count} lines of code, {FUNCTION_LIMIT} allowed"
                yield module.finding("functions-are-short", function.lineno, what)


def kernel_is_small(house: House) -> Iterator[Finding]:
    """Find the kernel grown past its budget, reported at its longest file."""
    kernel = [module for module in house.package if module.room in KERNEL]
    total = sum(len(module.code_lines) for module in kernel)
    if total > KERNEL_LIMIT:
        longest = max(kernel, key=lambda module: len(module.code_lines))
        what = f"the kernel has {total} lines of code, {KERNEL_LIMIT} allowed"
        yield longest.finding("kernel-is-small", 1, what)


def public_names_are_documented(house: House) -> Iterator[Finding]:
    """Find public modules, classes, functions, methods and properties without a docstring.

    Dunder methods, overloads, setters and overrides of a documented method are exempt.
    """
    classes: dict[str, list[ast.ClassDef]] = defaultdict(list)
    for module in house.package:
        for node in module.nodes(ast.ClassDef):
            classes[node.name].append(node)
    for module in house.package:
        if any(part.startswith("_") for part in module.name.split(".")):
            continue
        for line, name in _undocumented(module, classes):
            what = f"{name} has no docstring"
            yield module.finding("public-names-are-documented", line, what)


def _undocumented(
    module: Module, classes: dict[str, list[ast.ClassDef]]
) -> Iterator[tuple[int, str]]:
    if ast.get_docstring(module.tree) is None:
        yield 1, module.name
    for node in module.tree.body:
        if isinstance(node, FUNCTIONS) and _lacks_docstring(node):
            yield node.lineno, node.name
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None:
            yield node.lineno, node.name
        for member in node.body:
            if not isinstance(member, FUNCTIONS) or not _lacks_docstring(member):
                continue
            if not _documented_above(node, member.name, classes, set()):
                yield member.lineno, f"{node.name}.{member.name}"


def _lacks_docstring(node: Function) -> bool:
    if node.name.startswith("_") or ast.get_docstring(node) is not None:
        return False
    return not any(dotted(d).endswith(_EXEMPT_DECORATORS) for d in node.decorator_list)


def _documented_above(
    node: ast.ClassDef, name: str, classes: dict[str, list[ast.ClassDef]], seen: set[str]
) -> bool:
    for base in (dotted(base).split(".")[-1] for base in node.bases):
        if base in seen:
            continue
        seen.add(base)
        for parent in classes.get(base, ()):
            members = [m for m in parent.body if isinstance(m, FUNCTIONS) and m.name == name]
            if any(ast.get_docstring(member) for member in members):
                return True
            if _documented_above(parent, name, classes, seen):
                return True
    return False


def kernel_signatures_are_typed(house: House) -> Iterator[Finding]:
    """Find `Any` in the public signatures of the kernel."""
    for module in house.package:
        if module.room not in KERNEL:
            continue
        for function in module.functions:
            name = function.name
            private = name.startswith("_") and not name.endswith("__")
            if private or name in ANY_ALLOWED.get(module.path, ()):
                continue
            for annotation in _annotations(function):
                if _says_any(annotation):
                    what = f"{name} speaks of Any; say object, a TypeVar or JSONValue"
                    yield module.finding("kernel-signatures-are-typed", annotation.lineno, what)


def _annotations(function: Function) -> Iterator[ast.expr]:
    every = function.args
    arguments = [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg]
    for annotation in [*(a.annotation for a in arguments if a), function.returns]:
        if annotation is not None:
            yield annotation


def _says_any(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript) and dotted(node.value) in ERASED:
        return False
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _says_any(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.Name | ast.Attribute):
        return dotted(node) in {"Any", "typing.Any"}
    return any(_says_any(child) for child in ast.iter_child_nodes(node))


def tests_state_their_promise(house: House) -> Iterator[Finding]:
    """Find tests whose docstring does not say what they promise."""
    for module in house.tests:
        if module.name.startswith("tests.benchmarks"):
            continue
        for function in module.functions:
            if function.name.startswith("test_") and ast.get_docstring(function) is None:
                what = f"{function.name} has no docstring"
                yield module.finding("tests-state-their-promise", function.lineno, what)


BUDGET_RULES = (
    files_are_short,
    functions_are_short,
    kernel_is_small,
    public_names_are_documented,
    kernel_signatures_are_typed,
    tests_state_their_promise,
)
