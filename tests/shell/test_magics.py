"""What the magics complete, and what they ask of an orchestrator that runs elsewhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from oneiric.errors import JSONValue, NotFoundError, OneiricError
from oneiric.runtime import RuntimeOrchestrator
from oneiric.shell.loop import LoopThread
from oneiric.shell.magics import MAGICS, completions
from oneiric.shell.tables import rendered
from oneiric.shell.verbs import LiveVerbs, Said, Verbs

BY: Mapping[str, JSONValue] = {"actor": "shell"}


@pytest.fixture
def verbs(tmp_path: Path) -> Iterator[Verbs]:
    with LoopThread() as loop:
        runtime = RuntimeOrchestrator.open(folder=tmp_path)
        loop(runtime.__aenter__())
        yield Verbs(runtime, loop)
        loop(runtime.stop())


@pytest.mark.parametrize(
    ("line", "begun", "found"),
    [
        ("%swap adapter:ca", "adapter:ca", ["adapter:cache"]),
        ("swap adapter:cache m", "m", ["memory", "multitier"]),
        ("%swap cache mem", "mem", ["memory"]),
        ("%swap adapter:cache memory m", "m", []),
        ("%swap nope m", "m", []),
        ("%status ad", "ad", ["adapter"]),
        ("%health s", "s", ["service"]),
        ("%explain adapter:cache --as", "--as", ["--assume"]),
        (
            "%explain adapter:cache --assume select=m",
            "select=m",
            ["select=memory", "select=multitier"],
        ),
        ("%pause adapter:http --note x", "x", []),
        ("%runs ", "", []),
        ("%sta", "%sta", []),
        ("print adapter:ca", "adapter:ca", []),
    ],
)
def test_words_are_completed(line: str, begun: str, found: list[str], verbs: Verbs) -> None:
    """Places, who offers to fill them, domains, options; nothing in a line of Python."""
    word, words = completions(verbs, line)

    assert (word if found else begun, list(words)) == (begun, found)


def shown(said: Said, columns: int) -> str:
    out = StringIO()
    Console(file=out, width=columns, color_system=None).print(rendered(said))
    return out.getvalue()


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
@pytest.mark.parametrize("line", ["status", "explain adapter:cache", "health", "activity"])
def test_no_table_is_wider_than_the_terminal(line: str, columns: int, verbs: Verbs) -> None:
    """What has no room is folded, and no letter is lost."""
    name, _, rest = line.partition(" ")
    said = MAGICS[name](name, verbs, rest)
    text = shown(said, columns)

    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text


def test_what_steers_a_terminal_is_escaped(verbs: Verbs) -> None:
    """Also in what somebody wrote into a note, and no markup of a table is heeded."""
    MAGICS["pause"]("pause", verbs, "adapter:cache --note '\x1b[2J[red]x'")

    assert "\\u001b[2J[red]x" in shown(MAGICS["activity"]("activity", verbs, ""), 200)


@dataclass
class Answered:
    document: Mapping[str, JSONValue]
    text: str = ""
    exit_code: int = 0


@dataclass
class Elsewhere:
    """An orchestrator that notes what it is asked."""

    asked: list[tuple[str, Mapping[str, JSONValue]]] = field(default_factory=list)
    answers: dict[str, Answered | OneiricError] = field(default_factory=dict)

    def ask(self, verb: str, asked: Mapping[str, JSONValue]) -> Answered:
        self.asked.append((verb, asked))
        found = self.answers.get(verb, Answered({"schema": "oneiric.x/1"}, f"{verb} done"))
        if isinstance(found, OneiricError):
            raise found
        return found


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("status adapter", {"domain": "adapter"}),
        ("explain cache --needs ttl", {"ref": "cache", "needs": ["ttl"], "assume": []}),
        (
            "swap cache redis",
            {"ref": "cache", "provider": "redis", "clear": False, "actor": "shell"},
        ),
        ("swap cache --clear", {"ref": "cache", "provider": "", "clear": True, "actor": "shell"}),
        ("pause cache --note x", {"ref": "cache", "note": "x", "actor": "shell"}),
        ("resume cache", {"ref": "cache", "actor": "shell"}),
        (
            "drain cache",
            {"ref": "cache", "note": "", "wait": True, "limit": None, "actor": "shell"},
        ),
        ("activity", {"domain": ""}),
    ],
)
def test_a_running_orchestrator_is_asked(line: str, asked: Any, verbs: Verbs) -> None:
    """And what it answers is shown; nothing is done here."""
    there = Elsewhere()
    live = LiveVerbs(verbs.runtime, verbs.loop, there)
    name, _, rest = line.partition(" ")
    said = MAGICS[name](name, live, rest)

    assert there.asked == [(name, asked)]
    assert shown(said, 80) == f"{name} done\n"
    assert not verbs.runtime.running.places()


def test_the_health_of_a_running_orchestrator_is_that_of_what_is_up_there(verbs: Verbs) -> None:
    """One that cannot be asked is unhealthy, and says why."""
    rows: Any = [
        {"ref": "adapter:cache", "provider": "memory", "state": "ready"},
        {"ref": "adapter:http", "provider": None, "state": "inactive"},
    ]
    there = Elsewhere(answers={"status": Answered({"status": rows})})
    there.answers["probe"] = Answered({"healthy": True, "detail": ""})
    live = LiveVerbs(verbs.runtime, verbs.loop, there)
    good = live.health()
    there.answers["probe"] = NotFoundError("component", "adapter:cache")
    bad: Any = live.health()

    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert [name for name, _ in there.asked] == ["status", "probe"] * 2
    assert bad.document["components"][0]["detail"] == "no component adapter:cache"
