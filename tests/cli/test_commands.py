"""The commands in this process: what they print, where, and how they end."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from oneiric.cli.app import COMMANDS
from oneiric.domains.events import Event
from oneiric.ports import DeadLetter
from oneiric.stores.dead_letters import DeadLetterStore
from tests.cli.calls import Call, document

GROUPS = (
    *("action", "config", "workflow", "event", "manifest", "trust", "secrets"),
    *("recipe", "validation"),
)
FOR_PEOPLE = ("shell",)


def test_list_shows_who_serves_and_by_which_rule(call: Call) -> None:
    """A line a place: reference, provider, standing, reason and source."""
    code, out, err = call("--demo", "list", "--domain", "service")

    assert (code, err) == (0, "")
    lines = [re.split(r"  +", line) for line in out.splitlines()]
    assert lines[0] == ["component", "provider", "standing", "why", "source"]
    assert ["service:status", "plain", "selected", "priority 20", "code"] in lines


def test_list_shadowed_shows_who_does_not_serve_and_why(call: Call) -> None:
    """Losers only, each with the value that lost and the one it lost to."""
    found = document(call("--demo", "list", "--shadowed", "--domain", "task", "--json"))

    assert (found["schema"], found["domain"], found["shadowed"]) == ("oneiric.list/1", "task", True)
    assert [
        (each["ref"], each["provider"], each["standing"], each["why"])
        for each in found["components"]
    ] == [
        ("task:demo-pause", "skip", "shadowed", "priority 10 is below 20"),
        ("task:demo-say", "loud", "shadowed", "priority 10 is below 20"),
        ("task:demo-words", "distinct", "shadowed", "priority 10 is below 20"),
    ]


def test_an_empty_list_says_so(call: Call) -> None:
    """Nothing on offer, nothing shadowed: a sentence, and an empty list as JSON."""
    assert call("list", "--domain", "workflow") == (0, "nothing is on offer\n", "")
    assert call("list", "--domain", "workflow", "--shadowed")[1] == "nothing is shadowed\n"
    assert document(call("list", "--domain", "workflow", "--json"))["components"] == []


def test_a_place_that_nobody_fills_is_listed_with_the_reason(call: Call, tmp_path: Path) -> None:
    """A wrong selection does not hide the place."""
    (tmp_path / "oneiric.toml").write_text("[adapters.selections]\ncache = 'rdis'\n")

    row = document(call("list", "--domain", "adapter", "--json"))["components"][0]
    assert row == {"ref": "adapter:cache", "provider": None, "standing": None, "warning": ""}
    code, out, err = call("explain", "cache")
    assert (code, err) == (6, "")
    assert "  shadowed  memory     oneiric.toml:2 selects another\n" in out
    assert "problem: oneiric.toml:2 selects rdis for adapter:cache, but nobody offers it" in out


def test_explain_prints_the_decision(call: Call) -> None:
    """Who serves first, then the others, each with the reason."""
    code, out, err = call("--demo", "explain", "status", "--domain", "service", "--key", "status")

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "service:status",
        "  selected  plain     priority 20",
        "  shadowed  counting  priority 10 is below 20",
    ]


def test_explain_takes_needs_repeated_or_separated_by_commas(call: Call) -> None:
    """Each way asks for all of them; none replaces another."""
    code, first, _ = call("explain", "cache", "--needs", "kv, ttl,zz", "--json")
    many = call("explain", "cache", "--needs", "kv", "--needs", "ttl", "--needs", "zz", "--json")
    once = json.loads(first)

    assert (code, first, "") == many
    assert code == 6
    assert once["needs"] == ["kv", "ttl", "zz"]
    assert {each["why"] for each in once["standings"]} == {"lacks zz"}


def test_explain_shows_what_assumptions_change_or_that_they_do_not(call: Call) -> None:
    """The assumed decision comes first, then how it differs from what is."""
    _, changed, _ = call("--demo", "explain", "payment", "--assume", "select=ledger")
    unrelated = "withdraw=adapter:cache@memory"
    _, same, _ = call("--demo", "explain", "payment", "--assume", unrelated)

    assert changed.splitlines() == [
        "service:payment",
        "  selected  ledger   selected by assumption",
        "  shadowed  sandbox  assumption selects another",
        "",
        "changed by the assumptions:",
        "service:payment  sandbox -> ledger",
        "  ledger: shadowed (priority 10 is below 20) -> selected (selected by assumption)",
        "  sandbox: selected (priority 20) -> shadowed (assumption selects another)",
    ]
    assert same.splitlines()[-1] == "the assumptions change nothing"


def test_status_shows_how_each_component_stands(call: Call) -> None:
    """Nothing is up in a process that only looks; the answer says of which process it speaks."""
    found = document(call("--demo", "status", "--domain", "event", "--json"))

    assert (found["schema"], found["applied"], found["profile"]) == (
        "oneiric.status/1",
        "local",
        "default",
    )
    (row,) = found["status"]
    assert (row["ref"], row["winner"], row["state"]) == (
        "event:order-created",
        "remember",
        "inactive",
    )
    rows = [line.split() for line in call("--demo", "status")[1].splitlines()]
    assert ["event:order-created", "remember", "inactive", "-", "active", "0", "-"] in rows


def test_swap_says_that_it_stored_and_asked_nobody(call: Call) -> None:
    """Until a running orchestrator can be asked, the command tells what it did instead."""
    code, out, err = call("--demo", "swap", "service:status", "--provider", "counting")

    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "service:status  plain -> counting"
    assert out.splitlines()[-1] == (
        "stored: counting was selected for service:status; no running orchestrator was asked"
    )
    cleared = document(call("--demo", "swap", "service:status", "--clear", "--json"))
    assert (cleared["schema"], cleared["applied"], cleared["cleared"]) == (
        "oneiric.swap-request/1",
        "stored",
        True,
    )
    assert call("--demo", "swap", "service:status", "--clear")[1].splitlines() == [
        "no decision changes",
        "there was no selection of an earlier swap for service:status",
    ]


def test_a_swap_to_a_provider_with_wrong_settings_is_refused(call: Call, tmp_path: Path) -> None:
    """Settings are checked before the selection is stored; the error names file, line and key."""
    (tmp_path / "oneiric.toml").write_text("[adapters.provider_settings.redis]\nprot = 1\n")

    code, out, err = call("swap", "adapter:cache", "--provider", "redis")
    assert (code, out) == (2, "")
    assert "adapters.provider_settings.redis.prot: unknown key; did you mean port?" in err
    assert "(oneiric.toml:2)" in err
    assert not (tmp_path / ".oneiric_cache").exists()


def test_what_is_wrong_but_stops_nothing_is_a_warning(call: Call, tmp_path: Path) -> None:
    """Settings for nobody are told on stderr, beside the answer on stdout."""
    (tmp_path / "oneiric.toml").write_text("[adapters.provider_settings.memry]\n")

    code, out, err = call("list", "--domain", "adapter")
    assert (code, out.startswith("component")) == (0, True)
    assert err == (
        "warning: adapters.provider_settings.memry (oneiric.toml:1): "
        "no such provider; did you mean memory?\n"
    )


def test_promise_r9_a_swap_that_is_not_in_force_is_told(call: Call, tmp_path: Path) -> None:
    """By explain and status, as text and as JSON, with why; `--clear` sees it, dry or not."""
    file = tmp_path / "oneiric.toml"
    swap = ("--demo", "swap", "service:status")
    assert call(*swap, "--provider", "counting")[0] == 0
    file.write_text("[services.selections]\nstatus = 'plain'\n")
    why = "it has ended: the file selected nobody then, and plain now"

    lines = call("--demo", "explain", "status")[1].splitlines()
    found = document(call("--demo", "explain", "status", "--json"))["dormant"]
    rows = document(call("--demo", "status", "--domain", "service", "--json"))["status"]
    note = call("--demo", "status")[1].splitlines()[-1]

    assert re.fullmatch(rf"  note: swap at \S+Z by cli selected counting, but {why}", lines[-1])
    assert note == f"note: service:status: {lines[-1].removeprefix('  note: ')}"
    assert (found["provider"], found["ended"], found["why"]) == ("counting", True, why)
    assert {row["ref"]: row["dormant"] for row in rows if row["dormant"]} == {
        "service:status": found
    }
    cleared = call(*swap, "--clear", "--dry-run")[1].splitlines()[-1]
    assert cleared == (
        "dry run: nothing was stored; the selection of an earlier swap would be cleared"
    )
    assert document(call(*swap, "--clear", "--json"))["cleared"] is True
    nothing = "there was no selection of an earlier swap for service:status"
    assert call(*swap, "--clear", "--dry-run")[1].splitlines()[-1] == nothing


def test_list_tells_what_is_wrong_but_stopped_no_decision(call: Call, tmp_path: Path) -> None:
    """A relaxed selection that names nobody is a warning below the table, and in its row."""
    (tmp_path / "oneiric.toml").write_text(
        "[resolver]\nstrict_selections = false\n[adapters.selections]\ncache = 'rdis'\n"
    )
    warning = "oneiric.toml:4 selects rdis for adapter:cache, but nobody offers it"

    rows = document(call("list", "--json"))["components"]
    text = call("list")[1]

    assert text.splitlines()[-1] == f"warning: {warning}"
    assert {row["ref"]: row["warning"] for row in rows if row["warning"]} == {
        "adapter:cache": warning
    }


STEERING = "\x1b]0;gone\x07\x9b2J\u202e"
ESCAPED = r"\u001b]0;gone\u0007\u009b2J\u202e"


def test_what_could_steer_a_terminal_is_escaped(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In text, tables, JSON, warnings and errors; JSON still means the same."""
    toml = json.dumps(STEERING)
    (tmp_path / "oneiric.toml").write_text(
        f"[app]\nname = {toml}\n[adapters.provider_settings]\n{toml} = {{}}\n"
    )
    texts = [call("status"), call("config", "show"), call("config", "show", "--json")]
    named = json.loads(texts[2][1])["settings"][0]
    monkeypatch.setenv("ONEIRIC_PROFILE", STEERING)
    texts += [call("list"), call("list", "--json"), call("--debug", "list")]

    assert named == {"path": "app.name", "value": STEERING}
    assert [code for code, _, _ in texts] == [0, 0, 0, 2, 2, 2]
    for _, out, err in texts:
        assert ESCAPED in out + err
        assert not set(STEERING) & set(out + err) - set("]0;gone2J")


def test_a_dry_run_prints_the_decisions_that_would_change(call: Call, tmp_path: Path) -> None:
    """Those of dependents too; nothing is stored, and it says so."""
    code, out, _ = call("--demo", "swap", "task:demo-words", "--provider", "distinct", "--dry-run")

    assert code == 0
    assert out.splitlines()[0] == "task:demo-words  all -> distinct"
    assert out.splitlines()[-1] == "dry run: nothing was stored"
    assert list(tmp_path.iterdir()) == []


def test_promise_c3_a_swap_that_cannot_be_stored_is_unavailable(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the database it ends with 5; later it is stored."""
    monkeypatch.setattr("oneiric.stores.database.PATIENCE_SECONDS", 0.1)
    swap = ("--demo", "swap", "service:status", "--provider", "counting")
    assert call(*swap)[0] == 0
    with closing(sqlite3.connect(tmp_path / ".oneiric_cache" / "oneiric.sqlite")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        code, out, err = call(*swap)

    assert (code, out) == (5, "")
    assert err.splitlines()[0].startswith("warning: selections made with swap are left out: ")
    assert err.splitlines()[1].startswith("error[store]: ")
    assert err.endswith("hint: another process holds it; try again when that is done\n")
    assert call(*swap)[0] == 0


def test_plugins_names_what_each_brought(call: Call) -> None:
    """Distribution, version, group, and the offers themselves."""
    code, out, err = call("plugins")

    assert (code, err) == (0, "")
    assert re.search(r"^oneiric +\S+ +oneiric\.adapters +.*adapter:cache@memory", out, re.MULTILINE)


def test_config_show_prints_every_value_and_who_set_it(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File and line, profile, variable or default; without `--sources` values alone."""
    (tmp_path / "oneiric.toml").write_text(
        "[app]\nname = 'shop'\n[profiles.night.app]\nenvironment = 'dark'\n"
    )
    monkeypatch.setenv("ONEIRIC_LIFECYCLE__HEALTH_TIMEOUT", "2.5")
    monkeypatch.setenv("ONEIRIC_STACK_ORDER", "base")

    found = document(call("--profile", "night", "config", "show", "--sources", "--json"))

    shown = {each["path"]: (each["value"], each["origin"]) for each in found["settings"]}
    assert (found["schema"], found["profile"]) == ("oneiric.config/1", "night")
    assert {name: shown[name] for name in shown if shown[name][1] != "default"} == {
        "app.name": ("shop", "oneiric.toml:2"),
        "app.environment": ("dark", "profile night at oneiric.toml:4"),
        "resolver.stack_order": ("base", "ONEIRIC_STACK_ORDER"),
        "lifecycle.health_timeout": (2.5, "ONEIRIC_LIFECYCLE__HEALTH_TIMEOUT"),
    }
    plain = document(call("config", "show", "--json"))["settings"]
    assert {tuple(each) for each in plain} == {("path", "value")}
    assert re.search(r"^app\.name +\"shop\"$", call("config", "show")[1], re.MULTILINE)


MISTAKES = [
    (["frob"], "no such command 'frob'", "oneiric --help"),
    (["exlain"], "no such command 'exlain'", "did you mean explain?"),
    (["list", "--bogus"], "no such option: --bogus", "oneiric list --help"),
    (["list", "--shadow"], "no such option: --shadow", "did you mean --shadowed?"),
    (["config", "show", "--source"], "no such option: --source", "did you mean --sources?"),
    (["config", "dump"], "no such command 'dump'", "oneiric config --help"),
    (
        ["list", "--profile", "x"],
        "no such option: --profile",
        "it stands before the command: oneiric --profile … list",
    ),
    (["swap"], "missing argument 'REF'", "oneiric swap --help"),
    (["--bogus", "list"], "no such option: --bogus", "oneiric --help"),
]


@pytest.mark.parametrize(("arguments", "message", "hint"), MISTAKES)
def test_a_slip_on_the_command_line_is_one_line_and_a_hint(
    arguments: list[str], message: str, hint: str, call: Call
) -> None:
    """It ends with 2, in the form of every other error, also as JSON."""
    assert call(*arguments) == (2, "", f"error[usage]: {message}\nhint: {hint}\n")
    code, out, err = call(*arguments, "--json")
    assert (code, err) == (2, "")
    error = json.loads(out)["error"]
    assert (error["code"], error["message"]) == ("usage", message)


@pytest.mark.parametrize("arguments", [[], ["config"]])
def test_without_a_command_the_help_is_shown(arguments: list[str], call: Call) -> None:
    """And nothing else; it is no success."""
    code, out, err = call(*arguments)

    assert code == 2
    assert out.count("Usage: oneiric") == 1
    assert err == ""


@pytest.mark.parametrize(
    "name",
    [
        *COMMANDS,
        "config show",
        "action describe",
        "event emit",
        "event list",
        "event dead-letters",
        *(f"workflow {verb}" for verb in ("plan", "run", "enqueue", "runs", "show")),
        *(f"manifest {verb}" for verb in ("init", "pack", "keygen", "sign", "verify")),
        *(f"manifest {verb}" for verb in ("inspect", "diff", "lint")),
        *(f"trust {verb}" for verb in ("init", "show", "rotate", "revoke", "sign")),
    ],
)
def test_every_command_has_help_that_fits_and_agrees(name: str, call: Call) -> None:
    """It names each option in at most 80 columns and offers only what belongs to it."""
    code, out, err = call(*name.split(), "--help")
    short = call(*name.split(), "-h")

    assert (code, err) == (0, "")
    assert short == (code, out, err)
    assert f"Usage: oneiric {name}" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "completion" not in out
    assert ("--json" in out) is (name not in (*GROUPS, *FOR_PEOPLE))


def test_the_root_help_lists_every_command_with_what_it_is_for(call: Call) -> None:
    """So nobody needs to import a command to see what there is."""
    _, out, _ = call("--help")

    for name, (_, purpose) in COMMANDS.items():
        assert re.search(rf"│ {name} +{re.escape(purpose)}", out)
    for option in ("--config", "--profile", "--demo", "--debug", "--version"):
        assert option in out


def test_the_version_is_that_of_the_distribution(call: Call) -> None:
    """One line, and done, whatever stands after it."""
    assert re.fullmatch(r"oneiric \d+\.\d+\.\d+\n", call("--version")[1])
    assert call("--version", "frob")[0] == 0


LETTER = DeadLetter(
    id="l-1",
    handler="order-created",
    event=Event(id="e-1", type="order.created").as_json(),
    reason="failed",
    error="ValueError: no",
    attempts=1,
    at="2026-01-01T00:00:00.000000Z",
)


def keep(folder: Path, **changed: str) -> None:
    """Put a dead letter where the commands look for one."""
    store = DeadLetterStore(folder / ".oneiric_cache" / "oneiric.sqlite")
    asyncio.run(store.add(replace(LETTER, **changed)))  # type: ignore[arg-type]


def test_event_emit_prints_what_came_of_each_handler(call: Call) -> None:
    """The spelling of the README: topic, payload, JSON."""
    command = ("event", "emit", "--topic", "order.created", "--payload", '{"order_id": "demo-123"}')
    found = document(call("--demo", *command, "--json"))
    assert (found["schema"], found["applied"], found["topic"], found["matched_handlers"]) == (
        "oneiric.event-emit/1",
        "local",
        "order.created",
        1,
    )
    (result,) = found["results"]
    assert (result["handler"], result["success"], result["value"], result["attempts"]) == (
        "order-created",
        True,
        1,
        1,
    )
    code, out, err = call("--demo", *command)
    assert (code, err) == (0, "")
    assert re.search(r"^order-created +handled +1 ", out, re.MULTILINE)
    assert call("event", *command[1:])[1].endswith("no handler wants order.created\n")


def test_event_emit_refuses_what_is_no_json_or_no_topic(call: Call) -> None:
    """Both are invalid input, exit code 2, and nobody is told."""
    for command in (("--topic", "a", "--payload", "{"), ("--topic", "a.*"), ()):
        code, out, err = call("event", "emit", *command)
        assert (code, out) == (2, "")
        assert err.startswith("error[")


def test_event_list_shows_who_handles_what(call: Call) -> None:
    """A line a handler, in the order in which they are told."""
    _, out, _ = call("--demo", "event", "list")
    assert re.search(r"^order-created +order.created +20 +broadcast +- +30 s ", out, re.MULTILINE)
    (handler,) = document(call("--demo", "event", "list", "--json"))["handlers"]
    assert (handler["name"], handler["topics"]) == ("order-created", ["order.created"])


def test_event_dead_letters_are_listed_and_replayed(call: Call, tmp_path: Path) -> None:
    """Listed until their handler handled them; a replay that cannot be made ends with 1 or 6."""
    assert call("event", "dead-letters")[1] == "no dead letters\n"
    keep(tmp_path)
    keep(tmp_path, id="l-2", handler="gone")
    listed = document(call("event", "dead-letters", "--json"))
    assert [each["id"] for each in listed["dead_letters"]] == ["l-1", "l-2"]
    assert "order.created  gone" in call("event", "dead-letters")[1]

    replayed = document(call("--demo", "event", "dead-letters", "replay", "l-1", "--json"))
    assert [(each["letter"], each["success"]) for each in replayed["replays"]] == [("l-1", True)]
    code, out, _ = call("--demo", "event", "dead-letters", "replay")
    assert (code, "there is no handler gone" in out) == (1, True)
    assert call("--demo", "event", "dead-letters", "replay", "l-2")[0] == 6
    assert call("--demo", "event", "dead-letters", "replay", "l-1")[0] == 6
    assert call("--demo", "event", "dead-letters", "repaly")[0] == 2


def test_an_option_of_the_commands_before_them_is_told_where_it_stands(call: Call) -> None:
    """`oneiric --json list` names the place; a misspelt option of the root its nearest."""
    _, out, _ = call("--json", "list")
    found = json.loads(out)["error"]
    assert found["message"] == "no such option: --json"
    assert found["hint"] == "it stands after the command: oneiric COMMAND --json"

    assert call("--domain", "task", "list")[2].splitlines()[1] == (
        "hint: it stands after the command: oneiric COMMAND --domain"
    )
    assert call("--verison")[2].splitlines()[1] == "hint: did you mean --version?"
