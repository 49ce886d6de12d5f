"""Write the reference pages from the code: `python -m tests.docs.reference`, or `make docs`."""

import ast
import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from oneiric.errors import OneiricError
from tests.architecture.source import ROOT, House, read_house
from tests.docs.actions import actions_page
from tests.docs.commands import command_line_page
from tests.docs.control import control_openapi, control_page
from tests.docs.entries import entry, ports_page
from tests.docs.manifest_schema import manifest_schema
from tests.docs.manifests import manifests_page
from tests.docs.markdown import HEADER
from tests.docs.metrics import metrics_page
from tests.docs.recipe_schema import recipe_schema_page
from tests.docs.settings import configuration_page, providers_page
from tests.docs.task_schema import task_schema_page
from tests.docs.validation_page import validation_page

FOLDER = ROOT / "docs" / "reference"

EXIT_CODES: Mapping[int, str] = {
    0: "Done. A long-running command that SIGTERM or SIGINT drained ends with 0 as well.",
    1: "Failed or unhealthy, or drift was found.",
    2: "Invalid usage or input.",
    3: "Refused: policy, trust, or a paused component.",
    4: "Waiting for an approval, or inconclusive.",
    5: "Unavailable or timed out; the same command may succeed later.",
    6: "Not found.",
    130: "A one-shot command was cut short by SIGINT.",
    143: "A one-shot command was cut short by SIGTERM.",
}


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """One class of the error tree, its first sentence, and how deep it stands."""

    cls: type[OneiricError]
    meaning: str
    depth: int


def error_classes(house: House) -> list[type[OneiricError]]:
    """Load every module that defines an error; return the classes in order of definition."""
    found = []
    for module in sorted(house.package, key=lambda m: (m.name != OneiricError.__module__, m.name)):
        if any(node.name.endswith("Error") for node in module.nodes(ast.ClassDef)):
            found += [
                value
                for value in vars(importlib.import_module(module.name)).values()
                if isinstance(value, type)
                and issubclass(value, OneiricError)
                and value.__module__ == module.name
            ]
    return found


def error_tree(classes: Iterable[type[OneiricError]]) -> list[ErrorClass]:
    """Return the tree of these classes, parents before children, each below its first parent."""
    children: dict[type, list[type[OneiricError]]] = {}
    for cls in classes:
        parent = next(base for base in cls.__bases__ if issubclass(base, Exception))
        children.setdefault(parent, []).append(cls)
    return list(_descend(OneiricError, children, 0))


def _descend(
    cls: type[OneiricError], children: Mapping[type, list[type[OneiricError]]], depth: int
) -> Iterator[ErrorClass]:
    meaning = " ".join((cls.__doc__ or "").partition("\n\n")[0].split())
    yield ErrorClass(cls, meaning, depth)
    for child in children.get(cls, ()):
        yield from _descend(child, children, depth + 1)


def errors_page(house: House) -> str:
    """Return the page of all errors: the tree, then code, exit code and meaning of each."""
    tree = error_tree(error_classes(house))
    lines = [
        HEADER,
        "# Errors\n",
        "Every error raised on purpose derives from `OneiricError` and has a public `code`, an",
        "exit code, facts (`details()`) and where possible a `hint`. Codes are stable; wording",
        "is not. What the exit codes mean: [exit codes](exit-codes.md).\n",
        "```text",
        *(f"{'    ' * error.depth}{error.cls.__name__}" for error in tree),
        "```\n",
        "| error | code | exit | when |",
        "|---|---|---|---|",
    ]
    for error in tree:
        where = f"`{error.cls.__module__}.{error.cls.__name__}`"
        code, number = error.cls.code, error.cls.exit_code
        lines.append(f"| {where} | `{code}` | {number} | {error.meaning} |")
    return "\n".join(lines) + "\n"


def exit_codes_page(house: House) -> str:
    """Return the page of exit codes, each with the error codes that end in it."""
    tree = error_tree(error_classes(house))
    lines = [
        HEADER,
        "# Exit codes\n",
        "Every command ends with one of these. Errors are described under [errors](errors.md).\n",
        "| exit code | means | error codes |",
        "|---|---|---|",
    ]
    for number, meaning in EXIT_CODES.items():
        codes = sorted({error.cls.code for error in tree if error.cls.exit_code == number})
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
            lines += entry(modules[value.__module__], value.__name__)
        else:
            lines.append(f"A `{type(value).__name__}`.\n")
    return "\n".join(lines)


PAGES = {
    "actions.md": actions_page,
    "command-line.md": command_line_page,
    "control-api.json": control_openapi,
    "control-api.md": control_page,
    "configuration.md": configuration_page,
    "errors.md": errors_page,
    "exit-codes.md": exit_codes_page,
    "front-door.md": front_door_page,
    "manifest.schema.json": manifest_schema,
    "manifests.md": manifests_page,
    "metrics.md": metrics_page,
    "ports.md": ports_page,
    "providers.md": providers_page,
    "recipe.schema.json": recipe_schema_page,
    "task.schema.json": task_schema_page,
    "validation.md": validation_page,
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
