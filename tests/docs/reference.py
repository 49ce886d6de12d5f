"""Write the reference pages from the code: `python -m tests.docs.reference`, or `make docs`."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.architecture.source import ROOT, House, Module, dotted, read_house
from tests.docs.docstrings import markdown_of
from tests.docs.markdown import GENERATED

HEADER = f"{GENERATED}; change the code instead -->\n"
FOLDER = ROOT / "docs" / "reference"

EXIT_CODES: Mapping[int, str] = {
    0: "Done. A long-running command that SIGTERM or SIGINT drained ends with 0 as well.",
    1: "Failed or unhealthy, or drift was found.",
    2: "Invalid usage or input.",
    3: "Refused: policy, trust, a paused component, or a folder another process holds.",
    4: "Waiting for an approval, or inconclusive.",
    5: "Unavailable or timed out; the same command may succeed later.",
    6: "Not found.",
    130: "A one-shot command was cut short by SIGINT.",
    143: "A one-shot command was cut short by SIGTERM.",
}


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """One class of the error tree as its source declares it."""

    name: str
    module: str
    parent: str
    code: str
    exit_code: int
    meaning: str
    depth: int


def error_tree(house: House) -> list[ErrorClass]:
    """Return the error tree of the whole package, parents before children."""
    children: dict[str, list[tuple[Module, ast.ClassDef]]] = {}
    for module in house.package:
        for node in module.nodes(ast.ClassDef):
            for base in node.bases:
                children.setdefault(dotted(base).split(".")[-1], []).append((module, node))
    root = next(found for found in children["Exception"] if found[1].name == "OneiricError")
    return list(_descend(root, children, None))


def _descend(
    found: tuple[Module, ast.ClassDef],
    children: dict[str, list[tuple[Module, ast.ClassDef]]],
    parent: ErrorClass | None,
) -> Iterator[ErrorClass]:
    module, node = found
    own = _constants(node)
    error = ErrorClass(
        name=node.name,
        module=module.name,
        parent=parent.name if parent else "",
        code=str(own.get("code", parent.code if parent else "")),
        exit_code=int(own.get("exit_code", parent.exit_code if parent else 1)),
        meaning=_first_sentence(ast.get_docstring(node) or ""),
        depth=parent.depth + 1 if parent else 0,
    )
    yield error
    for child in children.get(node.name, ()):
        yield from _descend(child, children, error)


def _constants(node: ast.ClassDef) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for member in node.body:
        if isinstance(member, ast.Assign):
            target: ast.expr = member.targets[0]
        elif isinstance(member, ast.AnnAssign):
            target = member.target
        else:
            continue
        if isinstance(target, ast.Name) and isinstance(member.value, ast.Constant):
            value = member.value.value
            if isinstance(value, str | int):
                found[target.id] = value
    return found


def _first_sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def errors_page(house: House) -> str:
    """Return the page of all errors: the tree, then code, exit code and meaning of each."""
    tree = error_tree(house)
    lines = [
        HEADER,
        "# Errors\n",
        "Every error raised on purpose derives from `OneiricError` and has a public `code`, an",
        "exit code, facts (`details()`) and where possible a `hint`. Codes are stable; wording",
        "is not. What the exit codes mean: [exit codes](exit-codes.md).\n",
        "```text",
        *(f"{'    ' * error.depth}{error.name}" for error in tree),
        "```\n",
        "| error | code | exit | when |",
        "|---|---|---|---|",
    ]
    for error in tree:
        where = f"`{error.module}.{error.name}`"
        lines.append(f"| {where} | `{error.code}` | {error.exit_code} | {error.meaning} |")
    return "\n".join(lines) + "\n"


def exit_codes_page(house: House) -> str:
    """Return the page of exit codes, each with the error codes that end in it."""
    tree = error_tree(house)
    lines = [
        HEADER,
        "# Exit codes\n",
        "Every command ends with one of these. Errors are described under [errors](errors.md).\n",
        "| exit code | means | error codes |",
        "|---|---|---|",
    ]
    for number, meaning in EXIT_CODES.items():
        codes = sorted({error.code for error in tree if error.exit_code == number})
        lines.append(f"| {number} | {meaning} | {', '.join(f'`{code}`' for code in codes)} |")
    return "\n".join(lines) + "\n"


def front_door_page(house: House) -> str:
    """Return the page of the names that `from oneiric import …` gives."""
    import oneiric

    names: list[str] = list(getattr(oneiric, "__all__", []))
    lines = [HEADER, "# The front door\n", "The names of `from oneiric import …`, in full.\n"]
    modules = {module.name: module for module in house.package}
    for name in names:
        value = getattr(oneiric, name)
        lines.append(f"## {name}\n")
        if isinstance(value, type) or inspect.isfunction(value):
            lines += _entry(modules[value.__module__], value.__name__)
        else:
            lines.append(f"A `{type(value).__name__}`.\n")
    return "\n".join(lines)


def _entry(module: Module, name: str) -> Iterator[str]:
    nodes = (node for node in module.tree.body if getattr(node, "name", "") == name)
    node = next(nodes)
    if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    yield f"`from {module.name} import {name}`\n"
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


PAGES = {
    "errors.md": errors_page,
    "exit-codes.md": exit_codes_page,
    "front-door.md": front_door_page,
}


def main() -> int:
    """Write every page that differs, and name it."""
    house = read_house(ROOT)
    for name, page in PAGES.items():
        file = FOLDER / name
        text = page(house)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            sys.stdout.write(f"docs/reference/{name}: written\n")
    sys.stdout.write(f"{len(PAGES)} reference pages are up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
