"""Keys that two steps say they write though neither waits for the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from oneiric.chains import Order
from oneiric.recipes.arranging import Misplaced, Placed
from oneiric.recipes.recipe import RecipeSpec

_MOST_COMPARED = 200
_LAST_WINS = "last_write_wins"


def conflicts(spec: RecipeSpec, placed: Sequence[Placed]) -> Iterator[Misplaced]:
    """Yield a problem for each declared output that would be merged by chance.

    Steps that both say that the last one wins may write one key; it is the last in the order
    of the plan.
    """
    writers: dict[str, list[Placed]] = {}
    for each in (each for each in placed if not each.members):
        for key in dict.fromkeys(each.spec.outputs or ()):
            writers.setdefault(key, []).append(each)
    shared = {key: those for key, those in writers.items() if len(those) > 1}
    if not shared:
        return
    order = Order({each.id: each.depends_on for each in placed})
    for key, those in shared.items():
        in_turn = all(_is_before(order, first, second) for first, second in pairwise(those))
        if not in_turn:  # else each waits for the one before it, and so for all before
            pairs = combinations(those[:_MOST_COMPARED], 2)
            apart = (pair for pair in pairs if not _is_before(order, *pair))
            found = {
                (first.spec.name, second.spec.name): second
                for first, second in apart
                if {_merge(spec, first), _merge(spec, second)} != {_LAST_WINS}
            }
            for names, second in found.items():
                yield Misplaced(f"{second.at}.outputs", _what(key, *names))


def _what(key: str, first: str, second: str) -> str:
    if first == second:
        return f"{key} is written by each member of its matrix, of which none waits for another"
    return f"{key} is written by {first} too, and neither waits for the other"


def _is_before(order: Order[str], first: Placed, second: Placed) -> bool:
    return order.is_before(first.id, second.id) or (second.is_final and not first.is_final)


def _merge(spec: RecipeSpec, placed: Placed) -> str:
    return placed.spec.merge or spec.defaults.merge
