"""Ways through a graph: how far they lead, and which lead back to where they began."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Generic, TypeVar

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
        ways = {start: ways_from(start, edges) for start in edges}
        closed = {start for start in edges if start in ways[start]}
        return {
            start: _way_back(start, ways[start])
            for start in edges
            if start in closed and all(start in ways[o] for o in closed & ways[start].keys())
        }
    return {}


def in_order(edges: Mapping[N, Iterable[N]]) -> tuple[list[N], list[N]]:
    """Return the members, each after all that it leads to, and a closed way if there is one.

    Who is on a closed way, or leads to one, is not among those in order.

    >>> in_order({"c": "ab", "b": "a", "a": ""})
    (['a', 'b', 'c'], [])
    >>> in_order({"a": "", "b": "ac", "c": "b"})
    (['a'], ['b', 'c', 'b'])
    """
    sorter, closed, members = TopologicalSorter(edges), list[N](), list[N]()
    try:
        sorter.prepare()
    except CycleError as error:
        closed = error.args[1][::-1]
    while ready := sorter.get_ready():
        members += ready
        sorter.done(*ready)
    return members, closed


class Order(Generic[N]):
    """Know what comes before what in a graph of any size; whom a member leads to comes first.

    `depth` is how many members the longest way has, `closed` a closed way if there is one. Who
    is on a closed way, or leads to one, has no place in the order.

    >>> order = Order({"c": "b", "b": "a", "a": "", "d": "a"})
    >>> order.is_before("a", "c"), order.is_before("d", "c"), order.depth, order.closed
    (True, False, 3, [])
    """

    def __init__(self, edges: Mapping[N, Iterable[N]]) -> None:
        members, self.closed = in_order(edges)
        self._bit = {member: 1 << place for place, member in enumerate(members)}
        self._before: dict[N, int] = {}  # a set as a number: each member has its bit
        depths: dict[N, int] = {}
        for member in members:
            before = depth = 0
            for each in edges.get(member, ()):
                before |= self._before[each] | self._bit[each]
                depth = max(depth, depths[each])
            self._before[member], depths[member] = before, depth + 1
        self.depth = max(depths.values(), default=0)

    def __contains__(self, member: N) -> bool:
        return member in self._before

    def is_before(self, first: N, member: N) -> bool:
        """Tell whether *member* leads to *first*, however far."""
        return bool(self._before.get(member, 0) & self._bit.get(first, 0))


class Frontier(Generic[N]):
    """Know who in a graph waits for nobody any more, and give in turn those who are added.

    Members come in the order of the graph, whenever they were added.

    >>> frontier = Frontier({"a": "", "b": "", "c": "ab"})
    >>> frontier.add("b"), frontier.add("a"), list(frontier.taken())
    (None, None, ['a', 'b'])
    >>> list(frontier.done("a")), list(frontier.done("b")), frontier.is_free("c")
    ([], ['c'], True)
    """

    def __init__(self, edges: Mapping[N, Iterable[N]]) -> None:
        self._members = list(edges)
        self._waits = dict.fromkeys(edges, 0)
        self._after: dict[N, list[N]] = {member: [] for member in edges}
        for member, before in edges.items():
            for each in before:
                self._waits[member] += 1
                self._after[each].append(member)
        self.place = {member: place for place, member in enumerate(self._members)}
        self._ready: list[int] = []

    def add(self, member: N) -> None:
        """Let a member be taken when its turn comes."""
        heappush(self._ready, self.place[member])

    def taken(self) -> Iterator[N]:
        """Yield who was added, the first in the graph first, until nobody is left."""
        while self._ready:
            yield self._members[heappop(self._ready)]

    def is_free(self, member: N) -> bool:
        """Tell whether a member waits for nobody."""
        return not self._waits[member]

    def done(self, member: N) -> Iterator[N]:
        """Yield who waits for nobody any more now that a member is done."""
        for each in self._after[member]:
            self._waits[each] -= 1
            if not self._waits[each]:
                yield each


def ways_from(start: N, edges: Mapping[N, Iterable[N]]) -> dict[N, N]:
    """Return all that *start* leads to, each with its predecessor on a shortest way.

    >>> ways_from("c", {"c": "b", "b": "a", "d": "a"})
    {'b': 'c', 'a': 'b'}
    """
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
