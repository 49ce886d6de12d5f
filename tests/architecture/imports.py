"""The rules of import, each a function from the house to its findings."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from tests.architecture.floors import (
    DOORS,
    FLOORS,
    LATE_IMPORTS,
    LOADERS,
    NO_IO,
    OUTSIDE,
    OUTSIDE_CALLS,
    REAL_TIME,
    TIMERS,
    allowed,
)
from tests.architecture.source import PACKAGE, Finding, House, Import, Module, dotted


def every_room_has_a_floor(house: House) -> Iterator[Finding]:
    """Find rooms that no floor was given."""
    seen: set[str] = set()
    for module in house.package:
        if module.room and module.room not in FLOORS and module.room not in seen:
            seen.add(module.room)
            what = f"the room {module.room} stands on no floor; place it in floors.py"
            yield module.finding("every-room-has-a-floor", 1, what)


def imports_go_down(house: House) -> Iterator[Finding]:
    """Find imports from a neighbour or from a floor above, those for types included."""
    for module in house.package:
        for found in module.imports:
            if module.room and found.room and found.room != module.room:
                problem = _upward(module, found)
                if problem:
                    yield module.finding("imports-go-down", found.line, problem)


def _upward(module: Module, found: Import) -> str:
    if found.room not in FLOORS:
        return "the front door is for users; import from the module that owns the name"
    mine = FLOORS.get(module.room)
    if mine is None or FLOORS[found.room] < mine:
        return ""
    where = "a neighbour" if FLOORS[found.room] == mine else "above"
    return f"{module.room} (floor {mine}) imports {found.target}, {where} ({FLOORS[found.room]})"


def imports_form_no_cycle(house: House) -> Iterator[Finding]:
    """Find a circle of modules that import each other when they are loaded."""
    modules = {module.name: module for module in house.package}
    lines: dict[tuple[str, str], int] = {}
    for module in house.package:
        for found in module.imports:
            target = found.target if found.target in modules else found.module
            eager = not (found.in_function or found.for_types)
            if eager and target in modules and target != module.name:
                lines.setdefault((module.name, target), found.line)
    graph: dict[str, set[str]] = {}
    for importer, imported in lines:
        graph.setdefault(importer, set()).add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        first = modules[circle[0]]
        line = lines[circle[0], circle[1]]
        yield first.finding("imports-form-no-cycle", line, " -> ".join(circle))


def kernel_sees_no_outside(house: House) -> Iterator[Finding]:
    """Find network, disk, database, terminal, environment, time or chance in the kernel."""
    for module in house.package:
        if module.room not in NO_IO:
            continue
        for found in module.imports:
            if _reaches_outside(found.target):
                what = f"{module.room} may not see {found.target}; have it handed in"
                yield module.finding("kernel-sees-no-outside", found.line, what)
        for line, name in _outside_calls(module):
            what = f"{module.room} may not use {name}; time and ids come from a Clock, IO by ports"
            yield module.finding("kernel-sees-no-outside", line, what)


def _reaches_outside(target: str) -> bool:
    parts = target.split(".")
    return any(".".join(parts[:count]) in OUTSIDE for count in range(1, len(parts) + 1))


def _outside_calls(module: Module) -> Iterator[tuple[int, str]]:
    forbidden = OUTSIDE_CALLS if allowed(module.path, REAL_TIME) else OUTSIDE_CALLS | TIMERS
    for attribute in module.nodes(ast.Attribute):
        name = ".".join(dotted(attribute).split(".")[-2:])
        if re.sub(r"^\w*loop\.", "loop.", name) in forbidden:
            yield attribute.lineno, name
    for found in module.imports:
        if found.target in forbidden:
            yield found.line, found.target
    for call in module.nodes(ast.Call):
        if isinstance(call.func, ast.Name) and call.func.id in OUTSIDE_CALLS:
            yield call.lineno, call.func.id
        if dotted(call.func) == "asyncio.sleep" and ast.unparse(call.args[0]) != "0":
            yield call.lineno, "asyncio.sleep"


def libraries_have_one_door(house: House) -> Iterator[Finding]:
    """Find libraries that are imported past their door."""
    for module in house.package:
        for found in module.imports:
            library = found.target.partition(".")[0]
            if library in DOORS and not allowed(module.path, DOORS[library]):
                what = f"{library} enters through {', '.join(DOORS[library])} only"
                yield module.finding("libraries-have-one-door", found.line, what)


def late_imports_are_rare(house: House) -> Iterator[Finding]:
    """Find imports inside functions where no optional extra or lazy command asks for them,
    and imports by a name made at run time, which no other rule can judge."""
    for module in house.package:
        for found in module.imports:
            if found.computed:
                if not allowed(module.path, LOADERS):
                    what = f"only {', '.join(LOADERS)} import by a name made at run time"
                    yield module.finding("late-imports-are-rare", found.line, what)
            elif found.in_function and not allowed(module.path, LATE_IMPORTS):
                what = f"import {found.target} at the top of the file"
                yield module.finding("late-imports-are-rare", found.line, what)


def tests_are_not_imported(house: House) -> Iterator[Finding]:
    """Find package code that leans on the tests or on programs beside the package."""
    for module in house.package:
        for found in module.imports:
            if found.target.partition(".")[0] in {"tests", "main", "examples"}:
                what = f"{PACKAGE} may not import {found.target}"
                yield module.finding("tests-are-not-imported", found.line, what)


IMPORT_RULES = (
    every_room_has_a_floor,
    imports_go_down,
    imports_form_no_cycle,
    kernel_sees_no_outside,
    libraries_have_one_door,
    late_imports_are_rare,
    tests_are_not_imported,
)
