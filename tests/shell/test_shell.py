"""`oneiric shell -c`: names, magics, errors and exit codes, each in a process of its own."""

import json
import re
from pathlib import Path

import pytest

from tests.acceptance.commands import Finished, listing, oneiric, run


def shell(text: str, folder: Path, *before: str) -> Finished:
    return oneiric(*before, "shell", "-c", text, folder=folder)


def test_a_magic_shows_a_table_and_ends_with_zero(tmp_path: Path) -> None:
    """Who looks leaves nothing behind, not even at home."""
    home = tmp_path / "home"
    home.mkdir()
    folder = tmp_path / "work"
    folder.mkdir()
    done = oneiric("shell", "-c", "%status adapter", folder=folder, variables={"HOME": str(home)})

    assert (done.code, done.err) == (0, "")
    head, *rows = done.out.splitlines()[1:]
    assert head.split() == ["component", "winner", "state", "serves", "activity", "in", "flight"]
    assert ["adapter:cache", "memory", "inactive", "active", "0"] in [row.split() for row in rows]
    assert (listing(folder), listing(home)) == ({}, {})


def test_await_works_at_the_top_level_on_the_live_runtime(tmp_path: Path) -> None:
    """The names are there, and what is awaited runs where the components live."""
    text = (
        "async with use('adapter:cache') as cache:\n"
        "    await cache.set('k', 'v')\n"
        "    print(await cache.get('k'))\n"
        "print(resolver is runtime.resolver, lifecycle.status('adapter:cache').state)"
    )
    done = shell(text, tmp_path)

    assert (done.code, done.out, done.err) == (0, "v\nTrue ready\n", "")


def test_a_swap_is_live_and_is_stored(tmp_path: Path) -> None:
    """One line of several magics: what was swapped is up, healthy, and selected from now on."""
    text = "%swap adapter:cache multitier\n%status adapter\n%health\n%explain adapter:cache"
    done = shell(text, tmp_path)
    later = oneiric("explain", "adapter:cache", "--json", folder=tmp_path)

    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert ["adapter:cache", "multitier", "ready", "multitier", "active", "0"] in lines
    assert ["adapter:cache", "multitier", "yes"] in [line[:3] for line in lines]
    assert later.document["winner"] == "multitier"


def test_what_is_paused_is_refused_here_and_elsewhere(tmp_path: Path) -> None:
    """At once in this process, with who and why; `resume` ends it."""
    paused = shell("%pause cache --note 'new disk'\nuse('adapter:cache').__enter__()", tmp_path)
    elsewhere = shell("await use('adapter:cache').__aenter__()", tmp_path)
    listed = shell("%activity", tmp_path)
    resumed = shell("%resume adapter:cache\n%activity", tmp_path)
    drained = shell("%drain adapter:cache --limit 1", tmp_path)

    for each in (paused, elsewhere):
        assert each.code == 3
        assert each.err.startswith("error[paused]: adapter:cache is paused by shell: new disk\n")
    assert "paused" in listed.out
    assert "new disk" in listed.out
    assert resumed.out == "local: adapter:cache is active\neverything takes work\n"
    assert (drained.code, drained.out) == (0, "local: adapter:cache is draining\n")


def test_the_runs_of_the_folder_are_listed(tmp_path: Path) -> None:
    """Whoever ran them; only as many as asked for."""
    for _ in range(2):
        assert oneiric("--demo", "workflow", "run", "word-report", folder=tmp_path).code == 0
    done = shell("%runs 1", tmp_path)

    assert done.out.splitlines()[0].rstrip() == "runs, the newest first"
    assert done.out.count("workflow:word-report  succeeded") == 1


ERRORS = [
    ("%swap adapter:cache nope", 6, "unknown-selection"),
    ("%explain adapter:nope", 6, "no-candidate"),
    ("%status nope", 6, "not-found"),
    ("%swap", 2, "invalid"),
    ("%swap adapter:cache", 2, "invalid"),
    ("%runs many", 2, "invalid"),
    ("%drain adapter:cache --limit nan", 2, "invalid"),
    ("%pause 'adapter", 2, "invalid"),
    ("%pause adapter:nope", 6, "not-found"),
    ("runtime.resolver.resolve('adapter:nope')", 6, "no-candidate"),
]


@pytest.mark.parametrize(("text", "code", "name"), ERRORS)
def test_an_error_is_one_line_with_its_exit_code(
    text: str, code: int, name: str, tmp_path: Path
) -> None:
    """`error[code]: …` on stderr, no traceback, and nothing on stdout."""
    done = shell(text, tmp_path)

    told = [line for line in done.err.splitlines() if line.startswith("error[")]
    assert [re.sub(r"\].*", "]", line) for line in told] == [f"error[{name}]"]
    assert (done.code, done.out, "Traceback" in done.err) == (code, "", False)


def test_another_error_ends_with_one(tmp_path: Path) -> None:
    """With its traceback, for it is the person's own."""
    done = shell("1 / 0", tmp_path)

    assert (done.code, "ZeroDivisionError" in done.out, "\x1b" in done.out) == (1, True, False)


def test_a_magic_in_a_line_that_awaits_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    """The loop would wait for itself."""
    text = "get_ipython().run_line_magic('swap', 'adapter:cache memory'); await asyncio.sleep(0)"
    done = shell(f"import asyncio\n{text}", tmp_path)

    assert (done.code, "give it a line of its own" in done.err) == (2, True)


def test_what_is_up_is_closed_in_order_at_the_end(tmp_path: Path) -> None:
    """Dependents first, as the log tells."""
    (tmp_path / "oneiric.toml").write_text("[logging]\nemit_json = true\nlevel = 'info'\n")
    done = shell("%swap adapter:cache multitier", tmp_path)

    closed = [
        each["key"]
        for each in map(json.loads, done.err.splitlines())
        if each["event"] == "component-closed"
    ]
    assert done.code == 0
    assert closed[0] == "cache"


def test_the_demonstration_is_there_where_it_is_asked_for(tmp_path: Path) -> None:
    """As for every command."""
    done = shell("%explain service:status", tmp_path, "--demo")

    assert (done.code, "selected" in done.out) == (0, True)


OURS = """
import sys
from oneiric import RuntimeOrchestrator
from oneiric.shell import AdminShell

class OurShell(AdminShell):
    names = {"answer": 42}
    magics = {"greet": lambda shell, line: f"hello {line}, {len(shell.runtime.discovered) > 0}"}

text = "%greet ann\\nprint(answer, runtime is shell.runtime)"
print(OurShell(RuntimeOrchestrator.open()).run(text))
print(sys.modules["__main__"].OurShell is OurShell, sys.excepthook is sys.__excepthook__)
"""


def test_a_program_may_open_a_shell_with_names_and_magics_of_its_own(tmp_path: Path) -> None:
    """By a class that says which; the program goes on as if nothing had been."""
    done = run("-c", OURS, folder=tmp_path)

    assert (done.out, done.err) == ("hello ann, True\n42 True\n0\nTrue True\n", "")


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """With the exit code of what is unavailable."""
    program = (
        "import sys; sys.modules['IPython'] = None; sys.argv = ['oneiric', 'shell']\n"
        "from oneiric.cli.app import main; main()"
    )
    done = run("-c", program, folder=tmp_path)

    assert (done.code, done.out) == (5, "")
    assert done.err == (
        "error[unavailable]: the shell needs IPython\nhint: install oneiric[shell]\n"
    )
