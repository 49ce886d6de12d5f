"""Ways through a graph."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oneiric.chains import Frontier, Order

graphs = st.integers(1, 8).flatmap(
    lambda size: st.tuples(
        *(
            st.lists(st.integers(0, max(n - 1, 0)), max_size=3) if n else st.just([])
            for n in range(size)
        )
    )
)


@given(graphs)
def test_any_graph_is_walked_in_its_order(edges: tuple[list[int], ...]) -> None:
    """Everybody is taken once, after all they wait for, the first in the graph first."""
    graph = dict(enumerate(edges))
    frontier, walked = Frontier(graph), list[int]()
    for member in graph:
        if frontier.is_free(member):
            frontier.add(member)
    for member in frontier.taken():
        assert all(before in walked for before in graph[member])
        walked.append(member)
        for free in frontier.done(member):
            frontier.add(free)

    assert sorted(walked) == list(graph)
    assert Order(graph).closed == []


def test_who_was_added_last_comes_in_the_order_of_the_graph() -> None:
    """The turn of a member is its place in the graph, whenever it was added."""
    frontier = Frontier({"a": "", "b": "", "c": ""})
    for member in "cab":
        frontier.add(member)

    assert list(frontier.taken()) == ["a", "b", "c"]
    frontier.add("c")
    assert list(frontier.taken()) == ["c"]
