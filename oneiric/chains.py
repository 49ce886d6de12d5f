"""Ways through a graph that lead back to where they began."""

from collections.abc import Hashable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

N = TypeVar("N", bound=Hashable)


def closed_ways(edges: Mapping[N, Iterable[N]]) -> dict[N, list[N]]:
    """Return a shortest way back to itself for each member of a closed chain.

    Where one closed chain leads to another, only the other's members count: it would be
    closed without the first.

    >>> closed_ways({"a": "b", "b": "a", "c": "a", "d": "d"})
    {'a': ['a', 'b', 'a'], 'b': ['b', 'a', 'b'], 'd': ['d', 'd']}
    >>> closed_ways({"a": "ab", "b": "b"})
    {'b': ['b', 'b']}
    """
    try:
        TopologicalSorter(edges).prepare()
    except CycleError:
        ways = {start: _ways(start, edges) for start in edges}
        closed = {start for start in edges if start in ways[start]}
        return {
            start: _way_back(start, ways[start])
            for start in edges
            if start in closed and all(start in ways[o] for o in closed & ways[start].keys())
        }
    return {}


def _ways(start: N, edges: Mapping[N, Iterable[N]]) -> dict[N, N]:
    """Return all that *start* leads to, each with its predecessor on a shortest way."""
    ways: dict[N, N] = {}
    pending = [start]
    for member in pending:
        for following in edges.get(member, ()):
            if following not in ways:
                ways[following] = member
                pending.append(following)
    return ways


def _way_back(start: N, ways: Mapping[N, N]) -> list[N]:
    way = [start, ways[start]]
    while way[-1] != start:
        way.append(ways[way[-1]])
    return way[::-1]
