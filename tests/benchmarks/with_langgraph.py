"""Run a chain of LangGraph nodes with its `SqliteSaver`."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count, pairwise
from pathlib import Path
from typing import TypedDict

# Installed beside the benchmark only, in an environment of its own.
from langgraph.checkpoint.sqlite import SqliteSaver  # type: ignore[import-not-found]
from langgraph.graph import StateGraph  # type: ignore[import-not-found]

from tests.benchmarks.contest import DEFAULT, PAYLOAD, SYNCHRONOUS, Body, compete


class State(TypedDict):
    """What a node reads and writes."""

    order: int


@contextmanager
def langgraph(path: Path, mode: str, steps: int, body: Body) -> Iterator[Callable[[], object]]:
    """Compile a graph with a checkpoint for each step.

    As it comes, a checkpoint is written while the next step runs already; in the other modes it
    is written before, as the other contenders do.
    """

    def node(state: State) -> dict[str, int]:
        return body({"order": state["order"]})

    builder = StateGraph(State)
    names = [f"s{number}" for number in range(steps)]
    for name in names:
        builder.add_node(name, node)
    builder.set_entry_point(names[0])
    for before, after in pairwise(names):
        builder.add_edge(before, after)
    builder.set_finish_point(names[-1])
    kind = {} if mode == DEFAULT else {"durability": "sync"}
    threads = count()
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        if mode != DEFAULT:
            connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS[mode]}")
        graph = builder.compile(checkpointer=SqliteSaver(connection))

        def run() -> None:
            config = {"configurable": {"thread_id": str(next(threads))}, "recursion_limit": 10_000}
            graph.invoke(dict(PAYLOAD), config, **kind)

        yield run


if __name__ == "__main__":
    compete(langgraph)
