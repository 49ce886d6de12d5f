"""Events by the operator's verbs: emitted here, kept in the state database, replayed later."""

from pathlib import Path

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.domains.events import Event
from oneiric.errors import InvalidError, NotFoundError
from oneiric.runtime import Operator
from oneiric.runtime.event_operator import EventOperator


class Mood:
    """Handle events of which the file `well` stands in the working folder."""

    async def handle(self, event: Event) -> str:
        if not Path(event.data["well"]).exists():  # noqa: ASYNC240
            raise ValueError("unwell")
        return f"handled {event.id}"


class Fine:
    """Handle any event."""

    def handle(self, event: Event) -> str:
        return event.topic


PLUGIN = Plugin(
    [
        Candidate("event:fine", "p", Fine, priority=1),
        Candidate("event:mood", "p", Mood, metadata={"event_topics": ["order.*"]}),
        Candidate("event:wrong", "p", Fine, metadata={"event_topics": "order"}),
    ]
)


def operator(folder: Path) -> Operator:
    return Operator(folder=folder, plugins=(PLUGIN,))


def events(folder: Path) -> EventOperator:
    return operator(folder).events


def test_an_event_that_was_missed_is_kept_and_replayed_by_a_later_process(tmp_path: Path) -> None:
    """Each operator is as a process of its own; only the handler that failed is told again."""
    well = tmp_path / "well"
    emission = events(tmp_path).emit("order.created", {"well": str(well)})
    assert (emission.exit_code, emission.matched) == (1, 2)
    assert [(each.handler, each.success) for each in emission.results] == [
        ("fine", True),
        ("mood", False),
    ]

    (letter,) = events(tmp_path).dead_letters().letters
    assert (letter.id, letter.handler) == (emission.results[1].letter, "mood")
    failed = events(tmp_path).replay()
    assert (failed.exit_code, failed.replays[0].success) == (1, False)
    well.touch()
    answer = events(tmp_path).replay(letter.id)

    assert answer.exit_code == 0
    assert [each.value for each in answer.replays[0].results] == [f"handled {emission.event.id}"]
    assert events(tmp_path).dead_letters().letters == ()
    with pytest.raises(NotFoundError, match="no dead letter"):
        events(tmp_path).replay(letter.id)


def test_an_event_that_all_handle_leaves_telemetry_alone(tmp_path: Path) -> None:
    """Emitting leaves no other file where nothing is to be remembered; looking leaves none."""
    emission = events(tmp_path).emit("other")
    assert (emission.exit_code, emission.matched) == (0, 1)
    assert events(tmp_path).dead_letters().letters == ()
    assert [path.name for path in tmp_path.rglob("*.*")] == [
        ".oneiric_cache",
        "runtime_telemetry.json",
    ]


def test_nobody_to_tell_is_no_failure(tmp_path: Path) -> None:
    """An event that no handler wants was dispatched to nobody."""
    emission = Operator(folder=tmp_path).events.emit("order.created")
    assert (emission.exit_code, emission.matched, emission.results) == (0, 0, ())


def test_wrong_handlers_are_listed_and_warned_about(tmp_path: Path) -> None:
    """An offer that nobody can follow is told wherever one looks."""
    listing = events(tmp_path).handlers()
    assert [handler.name for handler in listing.handlers] == ["fine", "mood"]
    assert [problem.handler for problem in listing.problems] == ["wrong"]
    told = "the handler wrong from event:wrong@p (code) is invalid: topics are a list, not 'order'"
    assert operator(tmp_path).orchestrator.warnings() == [told]
    assert listing.as_json()["problems"][0]["code"] == "invalid-handler"  # type: ignore[index,call-overload]


def test_a_wrong_topic_is_invalid_input(tmp_path: Path) -> None:
    """A wildcard names nothing that happened."""
    with pytest.raises(InvalidError, match="is no topic"):
        events(tmp_path).emit("order.*")
