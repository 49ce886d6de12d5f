"""The steps of a recipe in their order: what each waits for, and its members of a matrix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from itertools import product

from oneiric.chains import in_order
from oneiric.errors import JSONValue, unknown
from oneiric.recipes.recipe import RecipeSpec, StepSpec

MOST_MEMBERS = 1_000
_PLAIN = re.compile(r"[\w.@ -]{1,60}")


@dataclass(frozen=True, slots=True)
class Placed:
    """One step of the plan to be: its id, whom it waits for, and its values of the matrix."""

    id: str
    spec: StepSpec
    at: str
    depends_on: tuple[str, ...] = ()
    matrix: Mapping[str, JSONValue] = field(default_factory=dict)
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Misplaced:
    """One thing that is wrong with the order, and where it stands."""

    at: str
    what: str


def arranged(spec: RecipeSpec) -> tuple[list[Placed], list[Misplaced]]:
    """Return the steps in a deterministic order, and all that is wrong with how they depend.

    Steps that are ready come by `idx`, and then as they stand in the file. In version 1 each
    waits for those before it, but steps in a row that say `parallel` run beside each other.
    """
    problems: list[Misplaced] = []
    main = _placed(spec.steps, "steps", version=spec.version, problems=problems)
    final = _placed(spec.finally_, "finally", version=1, problems=problems)
    names = {each.id for each in main}
    problems += [
        Misplaced(each.at, f"there are two steps of the name {each.id}")
        for each in final
        if each.id in names
    ]
    placed = [*main, *(replace(each, is_final=True) for each in final)]
    return list(_members(placed, problems)), problems


def _placed(
    steps: Sequence[StepSpec], section: str, *, version: int, problems: list[Misplaced]
) -> list[Placed]:
    found: dict[str, Placed] = {}
    for number, step in enumerate(steps):
        at = f"{section}.{number}"
        if step.name in found:
            problems.append(Misplaced(at, f"there are two steps of the name {step.name}"))
        else:
            found[step.name] = Placed(step.name, step, at, tuple(step.depends_on))
    for each in found.values():
        problems += [
            Misplaced(f"{each.at}.depends_on", f"there is no step {unknown(name, found)}")
            for name in each.depends_on
            if name not in found
        ]
    edges = {name: [n for n in each.depends_on if n in found] for name, each in found.items()}
    _, ring = in_order(edges)
    if ring:
        at = f"{found[ring[0]].at}.depends_on"
        problems.append(Misplaced(at, f"steps wait for each other: {' -> '.join(ring)}"))
        return list(found.values())
    order = [found[name] for name in _sorted(found, edges)]
    return list(_in_turn(order)) if version == 1 else order


def _sorted(found: Mapping[str, Placed], edges: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield names so that each comes after those it waits for; of the ready ones by `idx`."""
    place, last = dict[str, tuple[int, int]](), 0
    for number, (name, each) in enumerate(found.items()):
        last = last if each.spec.idx is None else each.spec.idx
        place[name] = last, number
    waits = {name: set(edges[name]) for name in found}
    after: dict[str, list[str]] = {name: [] for name in found}
    for name, others in edges.items():
        for other in set(others):
            after[other].append(name)
    ready = [(place[name], name) for name in found if not waits[name]]
    heapify(ready)
    while ready:
        _, name = heappop(ready)
        yield name
        for other in after[name]:
            waits[other].discard(name)
            if not waits[other]:
                heappush(ready, (place[other], other))


def _in_turn(order: Iterable[Placed]) -> Iterator[Placed]:
    """Yield the steps one after another; those in a row that say `parallel` wait for the same."""
    before: list[str] = []
    beside: list[str] = []
    for each in order:
        goes_along = each.spec.parallel and not set(each.depends_on) & set(beside)
        if not goes_along and beside:
            before, beside = beside, []
        yield replace(each, depends_on=tuple(dict.fromkeys((*before, *each.depends_on))))
        if goes_along:
            beside.append(each.id)
        else:
            before = [each.id]


def _members(placed: Iterable[Placed], problems: list[Misplaced]) -> Iterator[Placed]:
    """Yield each step, one with a matrix once for each combination of its values."""
    members: dict[str, tuple[str, ...]] = {}
    for each in placed:
        waits = tuple(
            dict.fromkeys(one for name in each.depends_on for one in members.get(name, (name,)))
        )
        found = dict(_combined(each, problems))
        members[each.id] = tuple(found) or (each.id,)
        for name, values in found.items():
            yield replace(each, id=name, depends_on=waits, matrix=values)


def _combined(
    placed: Placed, problems: list[Misplaced]
) -> Iterator[tuple[str, dict[str, JSONValue]]]:
    matrix = placed.spec.matrix
    if matrix is None:
        yield placed.id, {}
        return
    axes: dict[str, list[JSONValue]] = {}
    for name, values in (matrix.model_extra or {}).items():
        if isinstance(values, list) and values and all(map(_is_scalar, values)):
            axes[name] = values
        else:
            what = "it must be a list of values, one at least"
            problems.append(Misplaced(f"{placed.at}.matrix.{name}", what))
    seen: set[str] = set()
    for combination in product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        if any(one.items() <= values.items() for one in matrix.exclude if one):
            continue
        name = f"{placed.id}/{'-'.join(map(_told, combination))}"
        name = name if name not in seen else f"{name} {len(seen)}"
        seen.add(name)
        if len(seen) > MOST_MEMBERS:
            what = f"it makes more than {MOST_MEMBERS} steps"
            problems.append(Misplaced(f"{placed.at}.matrix", what))
            return
        yield name, values
    if not seen:
        problems.append(Misplaced(f"{placed.at}.matrix", "no combination is left"))


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | float | str)


def _told(value: JSONValue) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _PLAIN.fullmatch(text) else "value"
