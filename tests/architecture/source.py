"""The house as syntax trees: every file is parsed once, and every rule asks the same trees."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "oneiric"

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
IMPORTERS = ("import_module", "__import__")
_SUITES = ("body", "orelse", "finalbody", "handlers", "cases")
_Node = TypeVar("_Node", bound=ast.AST)


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule: where, which, and what to do."""

    path: str
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: `module` is what stands after `from`, `target` adds the name.

    One that a call imports, such as `import_module("json")`, counts too; `computed` says
    that its name is made at run time and so unknown here.
    """

    module: str
    target: str
    line: int
    in_function: bool
    for_types: bool
    computed: bool = False

    @property
    def room(self) -> str:
        """The room of the package that is entered, `.` for its front door, or nothing."""
        top, _, rest = self.target.partition(".")
        if top != PACKAGE:
            return ""
        return rest.partition(".")[0] or "."


class Module:
    """One file: its path, its dotted name, the room it belongs to, and its tree."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.tree = ast.parse(text, path)
        self.is_package = path.endswith("__init__.py")
        parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
        self.name = ".".join(parts)
        self.room = parts[1] if parts[0] == PACKAGE and len(parts) > 1 else ""

    def finding(self, rule: str, line: int, what: str) -> Finding:
        """Return a finding at *line* of this file."""
        return Finding(self.path, line, rule, what)

    @cached_property
    def _by_kind(self) -> dict[type[ast.AST], list[ast.AST]]:
        nodes = defaultdict(list)
        for node in ast.walk(self.tree):
            nodes[type(node)].append(node)
        return nodes

    def nodes(self, *kinds: type[_Node]) -> list[_Node]:
        """Return all nodes of exactly these kinds."""
        return [node for kind in kinds for node in self._by_kind[kind] if isinstance(node, kind)]

    @property
    def functions(self) -> list[Function]:
        """All functions and methods, however deep."""
        return [*self.nodes(ast.FunctionDef), *self.nodes(ast.AsyncFunctionDef)]

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """All imports, with whether they wait for a call or serve only the type checker."""
        package = self.name if self.is_package else self.name.rpartition(".")[0]
        return (*_imports(self.tree.body, package), *self._called())

    def _called(self) -> Iterator[Import]:
        """Yield what is imported by a call, by whatever name the caller goes."""
        late = {id(node) for function in self.functions for node in ast.walk(function)}
        for call in self.nodes(ast.Call):
            if dotted(call.func).split(".")[-1] not in IMPORTERS:
                continue
            given = [*call.args, *(word.value for word in call.keywords)]
            named = isinstance(given[0], ast.Constant) if given else False
            name = str(ast.literal_eval(given[0])) if named else ""
            yield Import(name, name, call.lineno, id(call) in late, False, computed=not named)

    @cached_property
    def code_lines(self) -> list[int]:
        """The numbers of the lines that hold code: no docstring, comment or blank."""
        prose: set[int] = set()
        for node in self.nodes(ast.Expr):
            value = node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                prose.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        return [
            number
            for number, line in enumerate(self.lines, 1)
            if number not in prose and line.strip() and not line.lstrip().startswith("#")
        ]


class House:
    """All files of a source tree that rules speak about: the package and its tests."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = tuple(modules)
        self.package = tuple(m for m in self.modules if m.name.split(".")[0] == PACKAGE)
        self.tests = tuple(m for m in self.modules if m.name.split(".")[0] == "tests")


def read_house(root: Path) -> House:
    """Parse every Python file of the package and of the tests under *root*."""
    return House(
        Module(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))
        for top in (PACKAGE, "tests")
        for file in sorted((root / top).rglob("*.py"))
    )


def build_house(root: Path, files: dict[str, str]) -> House:
    """Write *files* under *root* and read them as a house of its own."""
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return read_house(root)


def report(findings: Iterable[Finding]) -> str:
    """Return one line a finding, sorted by file and line; nothing when there is none."""
    return "\n".join(map(str, sorted(findings, key=lambda found: (found.path, found.line))))


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for a name or a chain of attributes, calls in between left out."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call | ast.Subscript):
        return dotted(node.func if isinstance(node, ast.Call) else node.value)
    return ""


def _imports(
    body: Iterable[ast.AST], package: str, *, in_function: bool = False, for_types: bool = False
) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, alias.name, node.lineno, in_function, for_types)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            for alias in node.names:
                target = f"{module}.{alias.name}"
                yield Import(module, target, node.lineno, in_function, for_types)
        else:
            typed = isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING")
            for suite in _SUITES:
                yield from _imports(
                    getattr(node, suite, ()),
                    package,
                    in_function=in_function or isinstance(node, FUNCTIONS),
                    for_types=for_types or (typed and suite == "body"),
                )


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)
