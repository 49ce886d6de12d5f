"""`oneiric` as its users meet it: real processes, real files, exit codes, both streams."""

import os
import re
from pathlib import Path

import pytest

from oneiric.demo.plugin import PLUGIN
from oneiric.runtime import Operator
from tests.acceptance.commands import error_of, listing, oneiric, run
from tests.distributions import install, offers

READ_ONLY = [
    ("list",),
    ("explain", "cache", "--assume", "withdraw=memory"),
    ("status",),
    ("activity",),
    ("plugins",),
    ("config", "show", "--sources"),
    ("swap", "cache", "--provider", "multitier", "--dry-run"),
    ("swap", "cache", "--clear", "--dry-run"),
]


@pytest.mark.parametrize("command", READ_ONLY, ids=" ".join)
def test_promise_c2_a_read_only_command_writes_no_files(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    """Neither in an empty folder nor beside a state database; not even a time of change."""
    (tmp_path / "oneiric.toml").write_text("[app]\nname = 'x'\n")
    empty = listing(tmp_path)
    first = oneiric("--demo", *command, "--json", folder=tmp_path)
    after_first = listing(tmp_path)
    store(tmp_path)
    stored = listing(tmp_path)
    second = oneiric("--demo", *command, folder=tmp_path)

    assert (first.code, second.code) == (0, 0)
    assert after_first == empty
    assert ".oneiric_cache/oneiric.sqlite" in stored
    assert listing(tmp_path) == stored
    assert first.err == second.err == ""
    assert next(iter(first.document)) == "schema"
    assert first.document["schema"].startswith("oneiric.")
    assert second.out.strip()


def store(folder: Path) -> None:
    """Store a swap as `oneiric swap` does."""
    operator = Operator(folder=folder, plugins=(PLUGIN,))
    operator.swap("service:status", provider="counting")


BAD_FILE = "[adapters.selections]\ncache = 'rdis'\n'a b' = 'x'\n"
EXITS = [
    ("", ["list"], {}, 0, ""),
    ("", ["list", "--bogus"], {}, 2, "usage"),
    ("", ["explain", "adapter:../x"], {}, 2, "invalid-ref"),
    ("", ["explain"], {}, 2, "invalid"),
    ("", ["list"], {"ONEIRIC_PROFILE": "night"}, 2, "invalid-config"),
    ("", ["list"], {"ONEIRIC_ADAPTER__SELECTIONS": "{}"}, 2, "invalid-config"),
    (BAD_FILE, ["list"], {}, 2, "invalid-config"),
    ("[app\n", ["list"], {}, 2, "invalid-document"),
    ("", ["explain", "nothing"], {}, 6, "not-found"),
    ("", ["explain", "adapter:nothing"], {}, 6, "no-candidate"),
    ("", ["explain", "cache", "--assume", "withdraw=nobody"], {}, 6, "not-found"),
    ("", ["list", "--domain", "thing"], {}, 6, "not-found"),
    ("", ["--config", "missing.toml", "list"], {}, 6, "not-found"),
    ("", ["list"], {"ONEIRIC_CONFIG": "missing.toml"}, 6, "not-found"),
    ("", ["swap", "cache", "--provider", "nobody"], {}, 6, "unknown-selection"),
]


@pytest.mark.parametrize(("file", "arguments", "variables", "code", "error"), EXITS)
def test_promise_c3_exit_codes_tell_what_kind_of_end_it_was(
    file: str,
    arguments: list[str],
    variables: dict[str, str],
    code: int,
    error: str,
    tmp_path: Path,
) -> None:
    """0 done, 2 invalid, 6 not found: one line on stderr, nothing on stdout, no traceback."""
    (tmp_path / "oneiric.toml").write_text(file)

    finished = oneiric(*arguments, folder=tmp_path, variables=variables)

    assert (error_of(finished) if error else (finished.code, "")) == (code, error)


def test_promise_c3_a_damaged_state_database_stops_only_who_writes(tmp_path: Path) -> None:
    """A swap ends with 5, names the file and says what to do; who only looks is warned."""
    path = tmp_path / ".oneiric_cache" / "oneiric.sqlite"
    path.parent.mkdir()
    path.write_text("not a database at all, and long enough to look like one" * 20)

    finished = oneiric("swap", "cache", "--provider", "memory", "--json", folder=tmp_path)
    looked = [
        oneiric(*command, "--json", folder=tmp_path)
        for command in (
            ("list",),
            ("explain", "cache"),
            ("status",),
            ("plugins",),
            ("config", "show"),
        )
    ]

    warning = f"warning: selections made with swap are left out: {path}: file is not a database\n"
    assert [(each.code, each.err) for each in looked] == [(0, warning)] * 5
    assert all("schema" in each.document for each in looked)
    assert (finished.code, finished.err) == (5, warning)
    assert finished.document == {
        "error": {
            "code": "store",
            "message": f"{path}: file is not a database",
            "details": {},
            "hint": "it is damaged or something else; move it away and what it kept is forgotten",
        }
    }


def test_promise_c2_a_traceback_is_shown_with_debug_only(tmp_path: Path) -> None:
    """`--debug` adds where it came from; the line that says what is wrong stays last."""
    short = oneiric("explain", "adapter:nothing", folder=tmp_path)
    long = oneiric("--debug", "explain", "adapter:nothing", folder=tmp_path)

    assert (short.code, long.code) == (6, 6)
    assert "Traceback" not in short.err
    assert long.err.startswith("Traceback (most recent call last):")
    assert long.err.endswith(short.err)


def test_every_problem_of_the_configuration_is_told_at_once(tmp_path: Path) -> None:
    """Each with file and line or variable, and with the nearest spelling."""
    (tmp_path / "oneiric.toml").write_text(
        "[app]\nnam = 'x'\n[adaptors]\n[lifecycle]\nhealth_timeout = -1\n"
    )

    finished = oneiric("list", folder=tmp_path, variables={"ONEIRIC_RESOLVER__STRICT": "1"})

    assert error_of(finished) == (2, "invalid-config")
    assert sorted(finished.err.splitlines()[1:]) == [
        "  adaptors: unknown section; did you mean adapters? (oneiric.toml:3)",
        "  app.nam: unknown key; did you mean name? (oneiric.toml:2)",
        "  lifecycle.health_timeout: Input should be greater than 0 (oneiric.toml:5)",
        "  resolver.strict: unknown key (ONEIRIC_RESOLVER__STRICT)",
    ]


@pytest.mark.parametrize(
    ("order", "what"),
    [
        ("base,site:x", "'site:x' has a level that is not a whole number"),
        ("base,../x", "'../x' does not name a stack"),
        ("../x", "'../x' does not name a stack"),
        ("a,,b", "'' does not name a stack"),
        ("a:9,b:3", "'b:3' has level 3, which does not rise above 9"),
    ],
)
def test_defect_oneiric_r4_a_bad_stack_order_shows_the_token(
    order: str, what: str, tmp_path: Path
) -> None:
    """A slip in ONEIRIC_STACK_ORDER is told with token and variable, never ignored."""
    finished = oneiric("list", folder=tmp_path, variables={"ONEIRIC_STACK_ORDER": order})

    hint = "list stacks bottom to top, as in base,team,site:50"
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.splitlines() == [
        "error[invalid-config]: the configuration of the environment is wrong",
        f"  resolver.stack_order: {what}; {hint} (ONEIRIC_STACK_ORDER)",
    ]


def test_promise_r9_a_stored_swap_outranks_the_file_in_the_next_process(tmp_path: Path) -> None:
    """Explain shows both; `--clear` ends the swap, and so does a change of the file."""
    file = tmp_path / "oneiric.toml"
    file.write_text("[services.selections]\nstatus = 'plain'\n")
    swapped = oneiric("--demo", "swap", "status", "--provider", "counting", folder=tmp_path)
    explained = oneiric("--demo", "explain", "status", folder=tmp_path)
    file.write_text("[services.selections]\npayment = 'ledger'\nstatus = 'plain'\n")
    unrelated = oneiric("--demo", "explain", "status", "--json", folder=tmp_path).document
    file.write_text("")
    changed = oneiric("--demo", "explain", "status", "--json", folder=tmp_path).document
    cleared = oneiric("--demo", "swap", "status", "--clear", "--json", folder=tmp_path).document
    file.write_text("[services.selections]\nstatus = 'plain'\n")
    after = oneiric("--demo", "explain", "status", "--json", folder=tmp_path).document

    assert swapped.out.splitlines()[-1].startswith("stored: counting was selected")
    head, first, second, note = explained.out.splitlines()
    assert head == "service:status"
    assert re.fullmatch(r"  selected  counting  selected by swap at \S+Z by cli", first)
    assert re.fullmatch(r"  shadowed  plain     swap at \S+Z by cli selects another", second)
    assert note == "  note: outranks plain from oneiric.toml:2"
    assert (unrelated["winner"], unrelated["overridden"]["origin"]) == (
        "counting",
        "oneiric.toml:3",
    )
    assert (changed["winner"], changed["selection"]) == ("plain", None)
    assert (cleared["cleared"], cleared["applied"]) == (True, "stored")
    assert (after["winner"], after["overridden"]) == ("plain", None)


def test_defect_oneiric_c1_stdout_is_json_and_nothing_else(tmp_path: Path) -> None:
    """With every log on, and a plugin that prints as it loads, stdout still parses."""
    folder = install(
        tmp_path / "site",
        "chatty",
        entry_points={"oneiric.services": "chatty:PLUGIN"},
        module="print('hello from chatty')\n" + offers("'service:chat', 'chatty', Thing"),
    )
    variables = {"PYTHONPATH": str(folder), "ONEIRIC_LOGGING__LEVEL": "debug"}

    finished = oneiric("--debug", "list", "--json", folder=tmp_path, variables=variables)

    assert finished.code == 0
    assert "service:chat" in [each["ref"] for each in finished.document["components"]]
    assert "hello from chatty\n" in finished.err


NOISY = """
import os, subprocess, sys
from pydantic import BaseModel
print("by python")
os.write(1, b"by the system\\n")
subprocess.run([sys.executable, "-c", "print('by a child')"])
class Settings(BaseModel):
    size: int = 1
class Noisy:
    def __init__(self, settings): pass
"""


@pytest.mark.parametrize(
    "command", [("config", "show"), ("swap", "service:noisy", "--provider", "noisy")]
)
def test_defect_oneiric_c1_settings_that_print_as_they_load_spoil_no_answer(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    """However they print; all of it is on stderr."""
    folder = install(
        tmp_path / "site",
        "noisy",
        entry_points={"oneiric.services": "noisy:PLUGIN"},
        module=offers(
            "'service:noisy', 'noisy', 'noisy_settings:Noisy',"
            " settings_model='noisy_settings:Settings'"
        ),
    )
    (folder / "noisy_settings.py").write_text(NOISY)
    variables = {
        "PYTHONPATH": str(folder),
        "ONEIRIC_PLUGINS__ALLOWED_PREFIXES": '["noisy_settings"]',
    }

    finished = oneiric(*command, "--json", folder=tmp_path, variables=variables)

    assert finished.code == 0
    assert finished.document["schema"].startswith("oneiric.")
    assert sorted(finished.err.splitlines()) == ["by a child", "by python", "by the system"]


@pytest.mark.parametrize("command", ["list", "config"])
def test_variables_of_bytes_that_are_no_text_are_refused(command: str, tmp_path: Path) -> None:
    """Told like every other problem, with the variable's name."""
    variables = {"ONEIRIC_APP__NAME": os.fsdecode(b"shop\xff")}
    arguments = [command, "show"] if command == "config" else [command]

    finished = oneiric(*arguments, folder=tmp_path, variables=variables)

    assert error_of(finished) == (2, "invalid-config")
    assert finished.err.splitlines()[1:] == [
        "  app.name: its bytes are not UTF-8 text (ONEIRIC_APP__NAME)"
    ]


def test_defect_oneiric_c2_no_log_line_is_printed_that_was_not_asked_for(tmp_path: Path) -> None:
    """At the default level nothing at all reaches stderr."""
    assert oneiric("--demo", "status", "--json", folder=tmp_path).err == ""


def test_defect_oneiric_c6_built_in_adapters_are_listed_without_the_demo(tmp_path: Path) -> None:
    """Our own rooms register by themselves."""
    plain = oneiric("list", "--domain", "adapter", "--json", folder=tmp_path).document

    assert {each["ref"]: each["provider"] for each in plain["components"]} == {
        "adapter:cache": "memory",
        "adapter:drift": "compare",
        "adapter:executor": "process",
        "adapter:gatekeeper": "strict",
        "adapter:http": "aiohttp",
        "adapter:identity": "token",
        "adapter:knowledge": "sqlite-fts",
        "adapter:ledger": "signed-files",
        "adapter:messaging": "log",
        "adapter:monitoring": "in-process",
        "adapter:queue": "sqlite",
        "adapter:recipes": "in-process-runs",
        "adapter:secrets": "env",
        "adapter:storage": "local",
        "adapter:validation": "in-process-runs",
        "adapter:validator": "live",
    }


def test_defect_oneiric_p1_a_greedy_plugin_brings_nothing_and_is_told(tmp_path: Path) -> None:
    """An adapter offered through `oneiric.tasks` is refused; the error stands beside its name."""
    folder = install(
        tmp_path / "site",
        "greedy",
        entry_points={"oneiric.tasks": "greedy:PLUGIN"},
        module=offers("'adapter:secrets', 'greedy', Thing, priority=10**9"),
    )
    variables = {"PYTHONPATH": str(folder)}

    plugins = oneiric("plugins", "--json", folder=tmp_path, variables=variables).document
    secrets = oneiric("explain", "secrets", "--json", folder=tmp_path, variables=variables)

    (greedy,) = [each for each in plugins["plugins"] if each["distribution"] == "greedy"]
    assert greedy["candidates"] == []
    assert "the group oneiric.tasks brings task candidates only" in greedy["error"]
    assert secrets.document["winner"] == "env"


def test_the_demo_offers_two_candidates_for_each_kind_of_component(tmp_path: Path) -> None:
    """Three services, a task, an event and a workflow, each to be explained and swapped."""
    found = oneiric("--demo", "status", "--json", folder=tmp_path).document["status"]

    pairs = {each["ref"] for each in found if each["candidates"] == 2}
    assert pairs >= {
        "service:status",
        "service:payment",
        "service:notification",
        "task:demo-words",
        "event:order-created",
        "workflow:word-report",
    }


FORBIDDEN = (
    *("structlog", "cronsim", "aiohttp", "redis", "nacl", "watchfiles", "aiosqlite", "rich"),
    *("yaml", "tomllib", "oneiric.domains.events", "oneiric.ports", "oneiric.stores.dead_letters"),
)
PROBE = f"""
import sys
sys.argv = ["oneiric", "list", "--shadowed"]
try:
    __import__("oneiric.cli.app").cli.app.main()
except SystemExit as end:
    assert not end.code
rooms = ("oneiric.actions.", "oneiric.adapters.")
providers = [name for name in sys.modules if name.startswith(rooms)]
print([*sorted(set({FORBIDDEN!r}) & set(sys.modules)), *sorted(providers)], file=sys.stderr)
"""


def test_list_imports_no_provider_and_no_library_of_one(tmp_path: Path) -> None:
    """What a short command does not need, be it ours, it does not wait for."""
    finished = run("-c", PROBE, folder=tmp_path)

    assert finished.code == 0
    assert finished.err == "['oneiric.actions.plugin', 'oneiric.adapters.plugin']\n"
