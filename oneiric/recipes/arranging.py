"""The steps of a recipe in their order: what each waits for, and its members of a matrix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from itertools import islice, product
from math import prod

from oneiric.chains import in_order
from oneiric.errors import JSONValue, unknown
from oneiric.recipes.recipe import MOST_STEPS, MatrixSpec, RecipeSpec, StepSpec

MOST_MEMBERS = 1_000
MOST_COMBINATIONS = 100_000
MOST_WAYS = 1_000_000
MOST_HINTS = 20
_LONGEST_ID = 200
_PLAIN = re.compile(r"[\w.@ -]{1,60}")


@dataclass(frozen=True, slots=True)
class Placed:
    """One step of the plan to be: its id, whom it waits for, and its values of the matrix.

    One with `members` only tells whether these, which all go on where one fails, succeeded.
    """

    id: str
    spec: StepSpec
    at: str
    depends_on: tuple[str, ...] = ()
    matrix: Mapping[str, JSONValue] = field(default_factory=dict)
    is_final: bool = False
    members: tuple[str, ...] = ()


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
    names, last = ({each.id: each for each in some} for some in (main, final))
    problems += [
        Misplaced(last[name].at, f"there are two steps of the name {name}")
        for name in last.keys() & names.keys()
    ]
    problems += _unknown(names, last, "comes later: it stands under finally")
    problems += _unknown(last, names, "has ended by then: it stands under steps")
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
    edges = {name: [n for n in each.depends_on if n in found] for name, each in found.items()}
    if rings := list(islice(_rings(edges), MOST_HINTS)):
        for ring in rings:
            what = f"steps wait for each other: {' -> '.join(ring)}"
            problems.append(Misplaced(f"{found[ring[0]].at}.depends_on", what))
        return list(found.values())
    order = [found[name] for name in _sorted(found, edges)]
    return list(_in_turn(order)) if version == 1 else order


def _unknown(
    own: Mapping[str, Placed], others: Mapping[str, Placed], why: str
) -> Iterator[Misplaced]:
    """Yield a problem for each name that a step depends on and that is not among its like."""
    hints = MOST_HINTS
    for each in own.values():
        for name in each.spec.depends_on:
            if name in others:
                yield Misplaced(f"{each.at}.depends_on", f"{name} {why}")
            elif name not in own:
                hints -= 1
                told = unknown(name, own if hints >= 0 else ())
                yield Misplaced(f"{each.at}.depends_on", f"there is no step {told}")


def _rings(edges: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield closed ways that share no member."""
    while ring := in_order(edges)[1]:
        yield ring
        edges = {
            name: [each for each in others if each not in ring]
            for name, others in edges.items()
            if name not in ring
        }


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
    """Yield each step, one with a matrix once for each combination of its values.

    Where one member's failure is not to stop the others, a step follows that fails for them.
    """
    members: dict[str, tuple[str, ...]] = {}
    steps = ways = 0
    for each in placed:
        waits = tuple(
            dict.fromkeys(one for name in each.depends_on for one in members.get(name, (name,)))
        )
        is_full = steps > MOST_STEPS or ways > MOST_WAYS
        found = {each.id: _unknown_values(each)} if is_full else dict(_combined(each, problems))
        steps, ways = steps + len(found), ways + len(found) * len(waits)
        if not is_full and (steps > MOST_STEPS or ways > MOST_WAYS):
            many = f"{MOST_STEPS} steps"
            if ways > MOST_WAYS:
                many = f"{MOST_WAYS} pairs of which one waits for the other"
            at = f"{each.at}.matrix" if each.spec.matrix else each.at
            problems.append(Misplaced(at, f"with it there are more than {many}"))
        names = members[each.id] = tuple(found) or (each.id,)
        for name, values in found.items():
            yield replace(each, id=name, depends_on=waits, matrix=values)
        if names != (each.id,) and each.spec.matrix and not each.spec.matrix.fail_fast:
            members[each.id] = (each.id,)
            yield replace(each, depends_on=names, members=names)


def _unknown_values(placed: Placed) -> dict[str, JSONValue]:
    """Return the names of a matrix of which no combination is made."""
    matrix = placed.spec.matrix
    return dict.fromkeys(matrix.model_extra or {}) if matrix else {}


def _combined(
    placed: Placed, problems: list[Misplaced]
) -> Iterator[tuple[str, dict[str, JSONValue]]]:
    matrix = placed.spec.matrix
    if matrix is None:
        yield placed.id, {}
        return
    at, found = f"{placed.at}.matrix", len(problems)
    axes = dict(_axes(at, matrix, problems))
    if not axes and len(problems) == found:
        problems.append(Misplaced(at, "it has no list of values"))
    if prod(map(len, axes.values())) > MOST_COMBINATIONS:
        problems.append(Misplaced(at, f"it has more than {MOST_COMBINATIONS} combinations"))
    if len(problems) > found:
        yield placed.id, dict.fromkeys(axes)
        return
    seen: set[str] = set()
    for combination in product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        if any(_is_like(values, one) for one in matrix.exclude if one):
            continue
        name = f"{placed.id}/{'-'.join(map(_told, combination))}"
        if name in seen or len(name) > _LONGEST_ID:
            name = f"{name[: _LONGEST_ID - 8]} {len(seen)}"
        seen.add(name)
        if len(seen) > MOST_MEMBERS:
            problems.append(Misplaced(at, f"it makes more than {MOST_MEMBERS} steps"))
            return
        yield name, values
    if not seen:
        problems.append(Misplaced(at, "no combination is left"))


def _axes(
    at: str, matrix: MatrixSpec, problems: list[Misplaced]
) -> Iterator[tuple[str, list[JSONValue]]]:
    """Yield each name with its values, and note what is no list of them or excludes nothing."""
    named = matrix.model_extra or {}
    for name, values in named.items():
        if isinstance(values, list) and values and all(map(_is_scalar, values)):
            yield name, values
        else:
            what = "it must be a list of values, one at least"
            problems.append(Misplaced(f"{at}.{name}", what))
    for number, excluded in enumerate(matrix.exclude):
        problems += [
            Misplaced(f"{at}.exclude.{number}", f"the matrix has no {unknown(name, named)}")
            for name in excluded
            if name not in named
        ]
        problems += [
            Misplaced(
                f"{at}.exclude.{number}", f"{name} is never {_told(value)}: nothing is excluded"
            )
            for name, value in excluded.items()
            if isinstance(values := named.get(name), list) and not _is_among(value, values)
        ]


def _is_like(values: Mapping[str, JSONValue], some: Mapping[str, JSONValue]) -> bool:
    return all(name in values and _is_among(value, [values[name]]) for name, value in some.items())


def _is_among(value: object, values: Iterable[object]) -> bool:
    """Tell whether a value is one of others; true is not 1."""
    is_truth = isinstance(value, bool)
    return any(value == each and is_truth is isinstance(each, bool) for each in values)


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | float | str)


def _told(value: JSONValue) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _PLAIN.fullmatch(text) else "value"
