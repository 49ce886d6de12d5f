"""The store of what takes work and what does not."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from oneiric.core.activity import ACTIVE, Activity, ActivityState
from oneiric.errors import InvalidRefError, StoreError
from oneiric.stores.activity import DomainActivityStore, DrainAnswer, Follower

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
PAUSED = Activity(ActivityState.PAUSED, "maint", "ada", NOW)


@pytest.fixture
def store(tmp_path: Path) -> DomainActivityStore:
    """A store in a folder that does not exist yet."""
    return DomainActivityStore(tmp_path / "state" / "domain_activity.sqlite")


def test_promise_a2_state_note_actor_and_time_persist(store: DomainActivityStore) -> None:
    """Another store on the same file reads what was written."""
    store.set("adapter:cache", PAUSED)
    store.set("task:index@fast", Activity(ActivityState.DRAINING, since=NOW))
    other = DomainActivityStore(store.path)

    assert other.get("adapter:cache") == PAUSED
    assert list(other.snapshot()) == ["adapter:cache", "task:index@fast"]
    assert other.all_for_domain("task") == {
        "index@fast": Activity(ActivityState.DRAINING, since=NOW)
    }
    assert other.get("adapter:http") == ACTIVE


def test_reading_writes_nothing(store: DomainActivityStore) -> None:
    """C2: a look leaves no file behind."""
    assert store.snapshot() == {}
    assert (store.answers(), store.followers()) == ([], [])
    assert not store.path.parent.exists()


def test_defect_oneiric_a5_resume_drops_the_note(store: DomainActivityStore) -> None:
    """What is active again is not in the list, and neither is its old note."""
    store.set("adapter:cache", PAUSED)
    store.set("adapter:cache", ACTIVE)
    assert store.snapshot() == {}


def test_names_that_are_none_are_refused(store: DomainActivityStore) -> None:
    """Before anything is written."""
    with pytest.raises(InvalidRefError):
        store.set("../../x", PAUSED)
    assert not store.path.exists()


def test_a_drain_begins_without_answers(store: DomainActivityStore) -> None:
    """What processes said of an earlier drain does not count for the next."""
    one, two = Follower("f1", 7, "born"), Follower("f2", 8)
    store.set("task:index", Activity(ActivityState.DRAINING, since=NOW))
    store.answer(one, DrainAnswer("task:index", "f1", 3, ("task a", "thread b"), "t1"))
    store.answer(one, DrainAnswer("task:index", "f1", 0, (), "t2"))
    store.answer(two, DrainAnswer("task:index", "f2", 1, ("task c at d:1",), "t1"))
    assert store.answers() == [
        DrainAnswer("task:index", "f1", 0, (), "t2"),
        DrainAnswer("task:index", "f2", 1, ("task c at d:1",), "t1"),
    ]
    assert store.followers() == [one, two]
    store.set("task:index", Activity(ActivityState.DRAINING, since=NOW))
    assert (store.answers(), store.followers()) == ([], [one, two])


def test_a_follower_that_leaves_takes_its_answers_along(store: DomainActivityStore) -> None:
    """Nobody waits for it any more; one that joins may strike off those that are gone."""
    one, two, three = Follower("f1", 7), Follower("f2", 8), Follower("f3", 9)
    for each in (one, two):
        store.answer(each, DrainAnswer("task:index", each.id, 1, (), "t"))
    store.leave("f1")
    assert [each.follower for each in store.answers()] == ["f2"]
    store.join(three, gone=["f2"])
    assert (store.followers(), store.answers()) == ([three], [])


WRITE = """
import sys
from pathlib import Path
from oneiric.core.activity import Activity, ActivityState
from oneiric.stores.activity import DomainActivityStore
store = DomainActivityStore(Path(sys.argv[1]))
for number in range(40):
    state = ActivityState.PAUSED if number % 2 else ActivityState.DRAINING
    store.set(f"task:{sys.argv[2]}-{number}", Activity(state, actor=sys.argv[2]))
"""


def test_defect_oneiric_a3_writers_at_once_lose_nothing(store: DomainActivityStore) -> None:
    """Four processes write about forty components each; all of it is there."""
    here = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-c", WRITE, str(store.path)]
    writers = [subprocess.Popen([*command, name], cwd=here) for name in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0] * 4

    kept = store.snapshot()
    assert len(kept) == 160
    assert all(each.actor == ref[5] for ref, each in kept.items())


def test_a_damaged_database_is_an_error_and_left_alone(store: DomainActivityStore) -> None:
    """Reads and writes both say so; the file is not replaced."""
    store.path.parent.mkdir()
    store.path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError):
        store.snapshot()
    with pytest.raises(StoreError) as caught:
        store.set("adapter:cache", PAUSED)
    assert caught.value.exit_code == 5
    assert store.path.read_bytes() == b"no database" * 100
