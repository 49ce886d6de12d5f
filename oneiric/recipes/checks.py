"""What each step must have, and may not, beyond the form of its fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from oneiric.expressions.rewrite import OPENING
from oneiric.recipes.arranging import Misplaced
from oneiric.recipes.confining import paths_of
from oneiric.recipes.context import KEY
from oneiric.recipes.inputs import misdeclared
from oneiric.recipes.recipe import FIELDS, AllowSpec, RecipeSpec, StepSpec
from oneiric.targets import is_target
from oneiric.text.names import ALPHABET, is_name

ALWAYS = "always"
"""The condition of a final step that is done however the others ended; each is."""

_NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "python": (("module",), ("function",)),
        "shell": (("run", "script"),),
        "http": (("url",),),
        "recipe": (("recipe",),),
        "approve": (),
    }
)
"""What steps of each type need: of each group one field."""

_NUL = "\0"
_APART = (("run", "script"), ("json_", "body"), ("stdin", "stdin_from_ctx"))
"""Fields of which a step has one at most."""


def misplaced(
    spec: RecipeSpec, folder: Path, above: Sequence[AllowSpec] = ()
) -> Iterator[Misplaced]:
    """Yield everything that is wrong with single steps, inputs and paths below *folder*.

    *above* is what the recipes allow that run this one.
    """
    for name, declared in spec.inputs.items():
        yield from misdeclared(name, declared)
    for at, step in steps_of(spec):
        yield from _final(at, step)
        yield from _fields(at, step)
        yield from _target(at, step)
        yield from _success(at, step)
        yield from _keys(at, step, strict=spec.strict_keys)
        yield from _program(at, step)
    yield from _variables("env", spec.env)
    yield from paths_of(folder, spec, dict(steps_of(spec)), above)


def steps_of(spec: RecipeSpec) -> Iterator[tuple[str, StepSpec]]:
    """Yield every step with its dotted path."""
    for section, steps in (("steps", spec.steps), ("finally", spec.finally_)):
        for number, step in enumerate(steps):
            yield f"{section}.{number}", step


def _fields(at: str, step: StepSpec) -> Iterator[Misplaced]:
    """Yield what belongs to steps of another type, what is missing, and what shuts out another."""
    for name in sorted(step.model_fields_set - FIELDS[step.type]):
        shown = name.rstrip("_")
        yield Misplaced(f"{at}.{shown}", f"a {step.type} step has no {shown}")
    for names in _NEEDED[step.type]:
        if not any(getattr(step, name) for name in names):
            yield Misplaced(f"{at}.{names[0]}", f"a {step.type} step needs {' or '.join(names)}")
    for one, other in _APART:
        if {one, other} <= step.model_fields_set:
            shown = other.rstrip("_")
            yield Misplaced(f"{at}.{shown}", f"either {one.rstrip('_')} or {shown}, not both")
    if step.stdout == "text" and not (step.stdout_key or step.stdout_to):
        yield Misplaced(f"{at}.stdout", "what is text needs a stdout_key to be kept under")


def _target(at: str, step: StepSpec) -> Iterator[Misplaced]:
    if step.type == "python":
        if step.module and not is_target(f"{step.module}:name"):
            yield Misplaced(f"{at}.module", "it is no module such as package.module")
        elif step.module and not is_name(f"{step.module}.{step.function or 'Class'}"):
            yield Misplaced(f"{at}.module", f"it can be no task: {ALPHABET}")
        if step.function and not step.function.isidentifier():
            yield Misplaced(f"{at}.function", "it is no name of a class")
    is_open = OPENING in step.url
    if step.url and not is_open and not step.url.startswith(("http://", "https://")):
        yield Misplaced(f"{at}.url", "it must begin with http:// or https://")


def _success(at: str, step: StepSpec) -> Iterator[Misplaced]:
    for number, match in enumerate(step.success.ctx_match):
        if match.matches is not None and OPENING not in match.matches:
            try:
                re.compile(match.matches)
            except (re.error, RecursionError, OverflowError):
                where = f"{at}.success.ctx_match.{number}.matches"
                yield Misplaced(where, "it is no regular expression")


def _keys(at: str, step: StepSpec, *, strict: bool) -> Iterator[Misplaced]:
    named = {f"{at}.outputs.{number}": key for number, key in enumerate(step.outputs or ())}
    for name in ("stdout_key", "save_to"):
        key = getattr(step, name)
        if key and OPENING not in key:
            named[f"{at}.{name}"] = key
            if step.outputs is not None and key not in step.outputs:
                yield Misplaced(f"{at}.{name}", f"{key} is not among its outputs")
    for where, key in named.items():
        yield from _plain(where, key)
        if strict and not KEY.fullmatch(key):
            what = f"the key {key} has no version, as numbers.stats_v1 has"
            yield Misplaced(where, what)


def _program(at: str, step: StepSpec) -> Iterator[Misplaced]:
    """Yield what no program can be given; what an expression says shows when it is told."""
    if step.type != "shell":
        return
    for name, said in (("run", step.run), ("args", step.args)):
        for number, text in enumerate(said if isinstance(said, list) else [said]):
            if isinstance(text, str) and _NUL in text:
                where = f"{at}.{name}.{number}" if isinstance(said, list) else f"{at}.{name}"
                yield Misplaced(where, "it holds a NUL")
    if isinstance(step.run, list) and step.run and not step.run[0]:
        yield Misplaced(f"{at}.run.0", "it names no program")
    yield from _variables(f"{at}.env", step.env)


def _variables(at: str, variables: Mapping[str, str]) -> Iterator[Misplaced]:
    for name, text in variables.items():
        if not name or "=" in name or _NUL in name:
            yield Misplaced(f"{at}.{name}" if name else at, "no variable can have this name")
        elif _NUL in text:
            yield Misplaced(f"{at}.{name}", "it holds a NUL")


def _plain(at: str, text: str) -> Iterator[Misplaced]:
    if OPENING in text:
        yield Misplaced(at, "no expression may stand here")


def _final(at: str, step: StepSpec) -> Iterator[Misplaced]:
    """Yield what only steps under `finally` may say, and what those may not."""
    is_final = at.startswith("finally")
    if is_final and step.type == "approve":
        yield Misplaced(f"{at}.type", "nobody can be asked under finally: the run has ended")
    if not is_final and isinstance(step.if_, str) and step.if_.strip() == ALWAYS:
        yield Misplaced(f"{at}.if", "always is a condition of steps under finally")
