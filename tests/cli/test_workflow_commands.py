"""The commands about workflows and workers: what they print, where, and how they end."""

from pathlib import Path

import pytest

from tests.cli.calls import Call, answer, left

BEFORE = ("--demo",)
REPORT = "word-report"


def test_a_plan_is_shown_as_data_as_a_drawing_and_as_mermaid(call: Call, tmp_path: Path) -> None:
    """The key may stand alone or as an option; nothing is run or written."""
    by_option = answer(call("workflow", "plan", "--workflow", REPORT, "--json"))
    every = answer(call("workflow", "plan", "--json"))
    _, drawn, _ = call("workflow", "plan", REPORT)
    _, chart, _ = call("workflow", "plan", f"workflow:{REPORT}", "--mermaid")

    assert by_option == every
    shape = by_option["workflows"][REPORT]
    assert (shape["node_count"], shape["edge_count"], shape["entry_nodes"]) == (3, 3, ["count"])
    assert [node["id"] for node in shape["nodes"]] == ["count", "pause", "report"]
    assert (shape["queue_category"], shape["queue_provider"]) == ("queue", "sqlite")
    assert drawn.splitlines()[2:] == [
        "● count         task:demo-words",
        "   ● pause      task:demo-pause  after count",
        "      ● report  task:demo-say    after count, pause; up to 2 times",
        "",
    ]
    assert chart.startswith('flowchart TD\n  s1["count<br/>task:demo-words"]\n')
    assert list(tmp_path.iterdir()) == []


def test_a_run_prints_its_results_and_can_be_shown(call: Call) -> None:
    """With both spellings of the key; the timeline has durations and the decisions."""
    context = ("--context", '{"text": "a b c"}')
    found = answer(call("workflow", "run", "--workflow", REPORT, *context, "--json"))
    code, out, _ = call("workflow", "run", REPORT, *context)
    rows = answer(call("workflow", "runs", REPORT, "--json"))["runs"]
    _, shown, _ = call("workflow", "show", found["run_id"])
    report = answer(call("workflow", "show", found["run_id"], "--json"))

    assert (found["state"], found["resumed"], found["results"]["report"]) == (
        "succeeded", False, "3 words",
    )  # fmt: skip
    assert (code, out.splitlines()[0].split(",")[0]) == (0, "local: word-report succeeded")
    assert [row["run_id"] for row in rows][1] == found["run_id"]
    assert "priority 20" in shown
    assert "count" in shown
    assert (report["name"], report["state"]) == (f"workflow:{REPORT}", "succeeded")


def test_without_checkpoints_nothing_is_stored(call: Call, tmp_path: Path) -> None:
    """But for what is told of the latest work; and nothing can be resumed."""
    found = answer(call("workflow", "run", REPORT, "--no-workflow-checkpoints", "--json"))
    code, _, err = call(
        "workflow", "run", REPORT, "--no-workflow-checkpoints", "--resume-checkpoint"
    )

    assert (found["state"], found["checkpoints"]) == ("succeeded", False)
    kept = [path.name for path in (tmp_path / ".oneiric_cache").iterdir()]
    assert kept == ["runtime_telemetry.json"]
    assert (code, "there is nothing to resume" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["run", "word-repot"], 6, "did you mean workflow:word-report?"),
        (["plan", "wrd-report"], 6, "did you mean workflow:word-report?"),
        (["run"], 2, "name a workflow"),
        (["run", "a", "--workflow", "b"], 2, "two workflows were given, a and b"),
        (["run", "task:demo-words"], 2, "not a workflow"),
        (["run", REPORT, "--context", "[1]"], 2, "--context is a JSON table"),
        (["run", REPORT, "--context", "{"], 2, "--context"),
        (["enqueue", REPORT, "--queue-category", "nothing"], 6, "adapter:nothing"),
        (["runs", "nope"], 6, "workflow:nope"),
        (["show", "nope"], 6, "no run nope"),
    ],
)
def test_what_cannot_be_done_is_told(call: Call, words: list[str], code: int, what: str) -> None:
    """In one line with a hint, and nothing is begun."""
    found, out, err = call("workflow", *words)
    assert (found, out) == (code, "")
    assert what in err


def test_what_is_enqueued_a_worker_does(call: Call) -> None:
    """The run has the id that was promised; the worker ends when the queue is empty."""
    asked = answer(call("workflow", "enqueue", REPORT, "--metadata", '{"who": "t"}', "--json"))
    code, out, err = call("worker", "--once")
    again = answer(call("worker", "--once", "--json"))
    report = answer(call("workflow", "show", asked["run_id"], "--json"))

    assert (asked["schema"], asked["workflow"]) == ("oneiric.enqueue/1", REPORT)
    assert (code, out) == (0, "done: 1, given back: 0, set aside: 0\n")
    assert err == "worker takes messages from adapter:queue@sqlite\n"
    assert again["done"] == 0
    assert (report["state"], report["metadata"]["who"]) == ("succeeded", "t")


def test_promise_a1_a_worker_delivers_what_waited_for_a_resumed_handler(call: Call) -> None:
    """Paused, told and resumed while nobody ran: the next worker on events delivers it."""
    handler = answer(call("event", "list", "--json"))["handlers"][0]
    call("pause", f"event:{handler['name']}")
    code, _, _ = call("event", "emit", "--topic", handler["topics"][0].replace("*", "x"))
    kept = answer(call("event", "dead-letters", "--json"))["dead_letters"]
    call("resume", f"event:{handler['name']}")

    done = call("worker", "--events", "--once")

    assert (code, [letter["reason"] for letter in kept]) == (3, ["deferred"])
    assert done[0] == 0
    assert answer(call("event", "dead-letters", "--json"))["dead_letters"] == []


def test_a_worker_tells_events_to_their_handlers(call: Call) -> None:
    """What is no event is set aside, and that is told on stderr."""
    answer(call("workflow", "enqueue", REPORT, "--json"))
    code, out, err = call("worker", "--events", "--once")

    assert (code, out) == (0, "done: 0, given back: 0, set aside: 1\n")
    assert "message-set-aside" in err
    assert call("worker", "--queue", "nope")[0] == 6


def test_a_worker_with_once_does_only_what_messages_ask_for(call: Call, tmp_path: Path) -> None:
    """A run that somebody left is not taken up, so that it ends when the queue is empty."""
    left(tmp_path, "run-1")
    assert answer(call("worker", "--once", "--json"))["done"] == 0
    rows = answer(call("run", "list", "--json"))["runs"]
    assert [(row["run_id"], row["state"]) for row in rows] == [("run-1", "queued")]
