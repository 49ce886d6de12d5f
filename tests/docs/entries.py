"""Names of the code as entries of a reference page: signatures and docstrings."""

import ast
import importlib
from collections.abc import Iterator

from tests.architecture.source import House, Module, dotted
from tests.docs.docstrings import markdown_of
from tests.docs.markdown import HEADER

PORTS = "oneiric.ports"
_SHARED = ("adapter", "errors")


def ports_page(house: House) -> str:
    """Return the page of the ports: each one's reference, Protocols and values."""
    modules = [m for m in house.package if m.name.rpartition(".")[0] == PORTS]
    public = importlib.import_module(PORTS).__all__
    lines = [
        HEADER,
        "# Ports\n",
        "For whoever calls a replaceable thing, or writes a provider for one. A port is a Protocol",
        "and a typed reference; every name here is imported `from oneiric.ports`. What the",
        "built-in providers add is under [providers](providers.md), the errors that all ports",
        "share under [errors](errors.md).\n",
    ]
    shown = sorted(modules, key=lambda m: (m.name.rpartition(".")[2] not in _SHARED, m.name))
    for module in shown:
        if module.name != f"{PORTS}.errors":
            lines += _port(module, public)
    return "\n".join(lines)


def _port(module: Module, public: list[str]) -> Iterator[str]:
    short = module.name.rpartition(".")[2]
    plain = short.replace("_", " ").capitalize()
    title = "What every port shares" if short in _SHARED else plain
    yield f"## {'HTTP' if short == 'http' else title}\n"
    if short not in _SHARED:
        yield f"{(ast.get_docstring(module.tree) or '').splitlines()[0]}\n"
    values = importlib.import_module(module.name)
    named = [n for n in module.tree.body if isinstance(n, ast.AnnAssign)]
    for node in [node for node in named if dotted(node.target) in public]:
        name = dotted(node.target)
        if ast.unparse(node.annotation) == "TypeAlias":
            yield f"`{name}` is `{_alias(node)}`.\n"
        else:
            yield f'`{name}` is its reference, the text `"{getattr(values, name)}"`.\n'
    for each in module.tree.body:
        if isinstance(each, ast.ClassDef | ast.FunctionDef) and each.name in public:
            yield f"### {each.name}\n"
            yield from entry(module, each.name, package=PORTS)


def _alias(node: ast.AnnAssign) -> str:
    value = node.value
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    return ast.unparse(value) if value else ""


def entry(module: Module, name: str, *, package: str = "") -> Iterator[str]:
    """Give the lines about a class or function: where from, signature, docstring, methods."""
    nodes = (node for node in module.tree.body if getattr(node, "name", "") == name)
    node = next(nodes)
    if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    yield f"`from {package or module.name} import {name}`\n"
    if not isinstance(node, ast.ClassDef):
        yield f"```python\n{_signature(node)}\n```\n"
    yield markdown_of(ast.get_docstring(node) or "")
    members = node.body if isinstance(node, ast.ClassDef) else []
    for member in members:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and _is_shown(member):
            yield f"### {name}.{member.name}\n"
            yield f"```python\n{_signature(member)}\n```\n"
            yield markdown_of(ast.get_docstring(member) or "")


def _is_shown(member: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    decorators = {dotted(decorator).split(".")[-1] for decorator in member.decorator_list}
    if decorators & {"setter", "deleter", "overload"}:
        return False
    return member.name == "__init__" or not member.name.startswith("_")


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    marks = "".join(
        f"@{dotted(mark)}\n"
        for mark in node.decorator_list
        if dotted(mark) in {"property", "classmethod", "staticmethod"}
    )
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{marks}{kind} {node.name}({ast.unparse(node.args)}){returns}"
