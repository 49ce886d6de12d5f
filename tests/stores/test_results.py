"""Results by what they depend on: kept once, in a bounded space, by several processes."""

from __future__ import annotations

import multiprocessing
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from oneiric.errors import JSONValue, StoreError
from oneiric.ports.results import StoredResult
from oneiric.stores.results import ResultStore


def result(key: str, *, place: str = "here", value: JSONValue = None) -> StoredResult:
    return StoredResult(key, place, {"args.a": key}, value, "run-1", 12.5)


def put_many(path: Path, who: str) -> None:
    with closing(ResultStore(path)) as store:
        for number in range(20):
            store.put(result(f"{who}{number}", place=who))


def test_what_was_put_is_got_and_reading_makes_no_file(tmp_path: Path) -> None:
    """A key gives the last value; a place what was put there last."""
    path = tmp_path / "results.sqlite"
    store = ResultStore(path)
    assert (store.get("a"), store.last("here"), path.exists()) == (None, None, False)
    first, second = result("a", value={"x": [1, None]}), result("b")
    assert (store.put(first), store.put(second)) == (True, True)
    assert (store.get("a"), store.last("here"), store.last("there")) == (first, second, None)
    again = result("a", place="there", value=2)
    store.put(again)
    assert (store.get("a"), store.last("there")) == (again, again)
    store.close()


def test_the_oldest_go_when_there_are_too_many_or_they_are_too_large(tmp_path: Path) -> None:
    """One that would not fit alone is not put."""
    few = ResultStore(tmp_path / "few.sqlite", most_results=2)
    for key in "abc":
        few.put(result(key))
    assert [few.get(key) is not None for key in "abc"] == [False, True, True]
    small = ResultStore(tmp_path / "small.sqlite", most_bytes=300)
    kept = [small.put(result(key, value="x" * 100)) for key in "abc"]
    assert (kept, [small.get(key) is not None for key in "abc"]) == (
        [True] * 3,
        [False, True, True],
    )
    assert small.put(result("d", value="x" * 300)) is False
    assert small.get("c") is not None
    few.close()
    small.close()


def test_several_processes_may_put_at_once(tmp_path: Path) -> None:
    """Nothing is lost."""
    path = tmp_path / "results.sqlite"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=put_many, args=(path, who)) for who in "ab"]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    assert [each.exitcode for each in processes] == [0, 0]
    store = ResultStore(path)
    assert all(store.get(f"{who}{number}") for who in "ab" for number in range(20))


def test_results_that_were_put_are_there_after_closing_and_more_can_be_put(tmp_path: Path) -> None:
    """The file is kept open between them, and no file beside it is left."""
    path = tmp_path / "results.sqlite"
    store, other = ResultStore(path), ResultStore(path)
    for key in "abc":
        store.put(result(key))
    assert other.get("b") == result("b")
    store.close()
    assert [each.name for each in tmp_path.iterdir()] == ["results.sqlite"]
    assert (store.put(result("d")), other.get("a"), other.get("d")) == (
        True,
        result("a"),
        result("d"),
    )
    store.close()
    store.close()


def test_a_put_that_failed_holds_up_no_later_one(tmp_path: Path) -> None:
    """Neither this store nor another is left in a transaction."""
    path = tmp_path / "results.sqlite"
    store, other = ResultStore(path), ResultStore(path)
    store.put(result("a"))
    with pytest.raises(StoreError):
        store.put(replace(result("b"), at={}))  # type: ignore[arg-type]
    assert (other.put(result("c")), store.put(result("d"))) == (True, True)
    assert (store.get("b"), store.get("c"), store.get("d")) == (None, result("c"), result("d"))
    store.close()
    other.close()
