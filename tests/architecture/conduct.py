"""The rules of conduct: what code may do only at named places, or nowhere."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from tests.architecture.floors import (
    BENEATH,
    BROAD_EXCEPTS,
    COMMANDS,
    COMPONENTS,
    COMPOSERS,
    DONE_ON_IMPORT,
    ENVIRONMENT,
    FLOORS,
    FORBIDDEN_NAMES,
    PRINTERS,
    TASK_OWNERS,
    allowed,
    words,
)
from tests.architecture.source import FUNCTIONS, Finding, House, Module, dotted

_ENVIRONMENT_NAMES = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}
_EXPANSIONS = {"expandvars", "expanduser"}
_BROAD = {"Exception", "BaseException"}
_MUTABLE_LITERALS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MUTABLE_CALLS = words(
    "list dict set bytearray defaultdict deque Counter OrderedDict ChainMap count WeakSet "
    "WeakKeyDictionary WeakValueDictionary Lock RLock Event Queue"
)
_READ_ONLY = re.compile(r"\b(Mapping|Sequence|Collection|Iterable|AbstractSet|Set)\b")
_REASON_WORDS = 3


def environment_is_read_at_the_door(house: House) -> Iterator[Finding]:
    """Find readers of the environment other than the configuration and the env secrets."""
    for module in house.package:
        if allowed(module.path, ENVIRONMENT):
            continue
        lines = [n.lineno for n in module.nodes(ast.Attribute) if _asks_environment(n)]
        lines += [
            found.line
            for found in module.imports
            if found.target in _ENVIRONMENT_NAMES or found.target.split(".")[-1] in _EXPANSIONS
        ]
        for line in lines:
            what = f"the environment is read in {' and '.join(ENVIRONMENT)} only"
            yield module.finding("environment-is-read-at-the-door", line, what)


def _asks_environment(node: ast.Attribute) -> bool:
    name = dotted(node)
    return (
        name in _ENVIRONMENT_NAMES
        or node.attr in _EXPANSIONS
        or ".".join(name.split(".")[-2:]) == "Path.home"
    )


def broad_excepts_are_named(house: House) -> Iterator[Finding]:
    """Find handlers for everything outside the four named places, or without a reason.

    `except BaseException` that ends in a bare `raise` undoes and passes on; it is no
    handler in this sense.
    """
    for module in house.package:
        handlers = [h for h in module.nodes(ast.ExceptHandler) if _is_broad(h)]
        for line in [*(h.lineno for h in handlers), *_broad_suppressions(module)]:
            if not allowed(module.path, BROAD_EXCEPTS):
                what = "catch what can happen; foreign code is called through core/guard.py"
                yield module.finding("broad-excepts-are-named", line, what)
            elif len(_reason(module.lines[line - 1])) < _REASON_WORDS:
                what = "say on this line why everything is caught"
                yield module.finding("broad-excepts-are-named", line, what)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    caught = {dotted(kind) for kind in kinds} & _BROAD
    last = handler.body[-1]
    passes_on = isinstance(last, ast.Raise) and last.exc is None
    return bool(caught) and not (passes_on and caught == {"BaseException"})


def _broad_suppressions(module: Module) -> Iterator[int]:
    for call in module.nodes(ast.Call):
        if dotted(call.func).endswith("suppress") and {dotted(a) for a in call.args} & _BROAD:
            yield call.lineno


def _reason(line: str) -> list[str]:
    comment = line.partition("#")[2]
    return re.sub(r"noqa: [A-Z0-9, ]+|[-#]", " ", comment).split()


def modules_hold_no_state(house: House) -> Iterator[Finding]:
    """Find module-level values that can change and are not typed read-only, and `global`."""
    for module in house.package:
        for node in module.tree.body:
            problem = _state(node)
            if problem:
                yield module.finding("modules-hold-no-state", node.lineno, problem)
        for statement in module.nodes(ast.Global):
            what = f"global {', '.join(statement.names)}: state belongs to an object"
            yield module.finding("modules-hold-no-state", statement.lineno, what)


def _state(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign):
        name, value, annotation = ast.unparse(node.targets[0]), node.value, ""
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        name, value, annotation = (
            ast.unparse(node.target),
            node.value,
            ast.unparse(node.annotation),
        )
    else:
        return ""
    if name == "__all__" or not _is_mutable(value):
        return ""
    if name.lstrip("_").isupper() and _READ_ONLY.search(annotation):
        return ""
    return f"{name} can change; use a tuple, frozenset or a constant typed as Mapping or Sequence"


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, _MUTABLE_LITERALS):
        return True
    return isinstance(value, ast.Call) and dotted(value.func).split(".")[-1] in _MUTABLE_CALLS


def tasks_have_an_owner(house: House) -> Iterator[Finding]:
    """Find tasks that no task group and no manager owns."""
    for module in house.package:
        if allowed(module.path, TASK_OWNERS):
            continue
        for call in module.nodes(ast.Call):
            owner, _, verb = dotted(call.func).rpartition(".")
            loose = owner in {"", "asyncio"} or owner.endswith("loop")
            if verb == "ensure_future" or (verb == "create_task" and loose):
                what = "start it in a task group"
                yield module.finding("tasks-have-an-owner", call.lineno, what)


def composing_is_for_the_root(house: House) -> Iterator[Finding]:
    """Find who makes what only the composition root may make, by its class or its `open`."""
    for module in house.package:
        for call in module.nodes(ast.Call):
            made = dotted(call.func).removesuffix(".open").split(".")[-1]
            files = next((f for name, f in COMPOSERS.items() if fnmatchcase(made, name)), None)
            if files is not None and not allowed(module.path, files):
                what = f"only {' and '.join(files)} may make {made}; take one that was made"
                yield module.finding("composing-is-for-the-root", call.lineno, what)


def commands_compose_nothing(house: House) -> Iterator[Finding]:
    """Find commands that reach for providers, stores or the like past the runtime."""
    for module in house.package:
        entered = COMMANDS.get(module.room)
        doors = {
            name
            for pattern, names in COMPONENTS.items()
            if allowed(module.path, (pattern,))
            for name in names
        }
        for found in module.imports if entered is not None else ():
            beneath = FLOORS.get(found.room, BENEATH) <= 0 or found.room == module.room
            beneath = beneath or found.module in doors
            if not (beneath or found.for_types or found.room in (entered or ())):
                what = f"{module.room} enters by runtime, and leaves {found.target} to it"
                yield module.finding("commands-compose-nothing", found.line, what)


def imports_do_nothing(house: House) -> Iterator[Finding]:
    """Find calls that a module makes for what they do, when it is imported."""
    for module in house.package:
        if allowed(module.path, DONE_ON_IMPORT):
            continue
        for node in _statements(module.tree.body):
            if isinstance(node, ast.With | ast.AsyncWith) or (
                isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
            ):
                what = "importing a module does nothing; do it where it is asked for"
                yield module.finding("imports-do-nothing", node.lineno, what)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what runs when a module is imported, class bodies and branches included."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test).startswith("__name__ =="):
            continue
        yield node
        if not isinstance(node, FUNCTIONS):
            for suite in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, suite, []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


def only_commands_print(house: House) -> Iterator[Finding]:
    """Find prints outside the command line and the demo."""
    for module in house.package:
        if allowed(module.path, PRINTERS):
            continue
        for call in module.nodes(ast.Call):
            if dotted(call.func) in {"print", "sys.stdout.write", "sys.stderr.write"}:
                what = "log an event, or return what the command shall show"
                yield module.finding("only-commands-print", call.lineno, what)


def names_say_what_things_are(house: House) -> Iterator[Finding]:
    """Find classes and files named after nothing: Helper, Util, Base, Impl, Info."""
    empty = {word.lower() for word in FORBIDDEN_NAMES}
    for module in house.package:
        if module.name.split(".")[-1].split("_")[-1] in empty:
            yield module.finding("names-say-what-things-are", 1, f"rename {module.path}")
        for node in module.nodes(ast.ClassDef):
            if node.name.endswith(FORBIDDEN_NAMES):
                what = f"rename {node.name} after what it is or does"
                yield module.finding("names-say-what-things-are", node.lineno, what)


CONDUCT_RULES = (
    environment_is_read_at_the_door,
    broad_excepts_are_named,
    modules_hold_no_state,
    tasks_have_an_owner,
    composing_is_for_the_root,
    commands_compose_nothing,
    imports_do_nothing,
    only_commands_print,
    names_say_what_things_are,
)
