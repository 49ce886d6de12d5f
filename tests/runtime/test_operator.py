"""What the operator answers: from configuration and stored state, changing nothing unasked."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.errors import (
    InvalidError,
    NoCandidateError,
    NotFoundError,
    UnknownSelectionError,
)
from oneiric.runtime import Operator


class SafeSettings(BaseModel):
    size: int = 1
    url: str = ""
    pin: SecretStr | None = None
    headers: dict[str, str] = {}
    peers: list[dict[str, str]] = []


SHELF = Plugin(
    [
        Candidate("adapter:shelf", "oak", dict, priority=1, capabilities=["wide", "dry"]),
        Candidate("adapter:shelf", "pine", dict),
        Candidate("adapter:safe", "iron", dict, settings_model=SafeSettings),
        Candidate("adapter:safe", "ghost", dict, settings_model="oneiric.no_such_room:Settings"),
        Candidate("service:shelf", "oak", dict),
        Candidate("service:desk", "oak", dict),
    ]
)
SWAPPED = "[adapters.selections]\nshelf = 'oak'\n"


@pytest.fixture
def operator(tmp_path: Path) -> Callable[[], Operator]:
    """Return a maker of operators, each as a process of its own would have it."""
    return lambda: Operator(folder=tmp_path, plugins=(SHELF,))


Make = Callable[[], Operator]


def winner(make: Make, ref: str = "adapter:shelf") -> str | None:
    found = make().explain(ref).decision.winner
    return found.provider if found else None


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "adapter:shelf"},
        {"text": "shelf", "domain": "adapter"},
        {"key": "shelf", "domain": "adapter"},
        {"text": "shelf", "key": "shelf", "domain": "adapter"},
        {"text": "adapter:shelf", "key": "shelf", "domain": "adapter"},
    ],
)
def test_a_component_may_be_named_in_parts(arguments: dict[str, str], operator: Make) -> None:
    """A reference, or a key with its domain; what is said twice must agree."""
    assert str(operator().ref(**arguments)) == "adapter:shelf"


def test_a_key_alone_names_the_one_domain_that_has_it(operator: Make) -> None:
    """A key of one domain is enough; a provider may follow it."""
    assert str(operator().ref("desk")) == "service:desk"
    assert str(operator().ref("desk@oak")) == "service:desk@oak"
    assert str(operator().ref("desk@oak", key="desk", provider="oak")) == "service:desk@oak"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": "shelf"}, "shelf is a key of adapter and service"),
        ({"text": "desk", "key": "safe"}, "two keys were given, desk and safe"),
        ({"text": "service:desk", "key": "safe"}, "two keys were given, desk and safe"),
        (
            {"text": "service:desk", "domain": "adapter"},
            "two domains were given, service and adapter",
        ),
        ({"text": "desk@oak", "provider": "pine"}, "two providers were given, oak and pine"),
        ({}, "name a component"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(
    arguments: dict[str, str], message: str, operator: Make
) -> None:
    """Nothing that was asked for is silently dropped."""
    with pytest.raises(InvalidError) as caught:
        operator().ref(**arguments)

    assert caught.value.message == message


def test_what_does_not_exist_is_not_found_with_what_is_near(operator: Make) -> None:
    """Unknown domains and keys are told with the nearest spelling, or where to look."""
    for arguments, message, hint in (
        ({"text": "desc"}, "no component with the key desc", "did you mean desk?"),
        ({"text": "zz"}, "no component with the key zz", "oneiric list shows what there is"),
        ({"text": "x", "domain": "adapters"}, "no domain adapters", "did you mean adapter?"),
    ):
        with pytest.raises(NotFoundError) as caught:
            operator().ref(**arguments)
        assert (caught.value.message, caught.value.hint) == (message, hint)
    with pytest.raises(NotFoundError, match="no domain zz"):
        operator().list(domain="zz")
    with pytest.raises(NoCandidateError, match="no candidate is registered for task:desk"):
        operator().explain("task:desk")


def test_explain_obeys_provider_and_needs(operator: Make) -> None:
    """Asking for a provider or a capability rejects the others, and says so."""
    asked = operator().explain("adapter:shelf", provider="pine").decision
    needy = operator().explain("adapter:shelf", needs=["wide", "tall"]).decision

    assert [(each.provider, each.why) for each in asked.standings] == [
        ("pine", "the only candidate"),
        ("oak", "another provider was asked for"),
    ]
    assert [(each.provider, each.why) for each in needy.standings] == [
        ("oak", "lacks tall"),
        ("pine", "lacks tall, wide"),
    ]


def test_explain_tells_what_assumptions_change(operator: Make) -> None:
    """Another selection, a candidate withdrawn, here or elsewhere; nothing is stored."""
    selected = operator().explain("adapter:shelf", assume=["select=pine"])
    withdrawn = operator().explain("adapter:shelf", assume=["withdraw=oak"])
    elsewhere = operator().explain("adapter:shelf", assume=["withdraw=adapter:safe@iron"])

    for answer in (selected, withdrawn):
        assert answer.diff is not None
        assert (answer.diff.as_json()["before"], answer.diff.as_json()["after"]) == ("oak", "pine")
    assert elsewhere.diff is not None
    assert not elsewhere.diff
    assert elsewhere.as_json()["assumed"] == {
        "schema": "oneiric.decision-diff/1",
        "ref": "adapter:shelf",
        "before": "oak",
        "after": "oak",
        "changes": [],
    }
    assert winner(operator) == "oak"


@pytest.mark.parametrize("word", ["", "oak", "select=", "=oak", "prefer=oak", "select=a b"])
def test_what_is_no_assumption_is_refused(word: str, operator: Make) -> None:
    """A slip in an assumption is invalid input, not an assumption of nothing."""
    with pytest.raises(InvalidError):
        operator().explain("adapter:shelf", assume=[word])


def test_promise_r9_a_swap_counts_in_the_next_process_until_it_is_cleared(
    operator: Make, tmp_path: Path
) -> None:
    """It outranks the file, explain shows both, and `clear` gives the file its say again."""
    (tmp_path / "oneiric.toml").write_text(SWAPPED)

    answer = operator().swap("adapter:shelf", provider="pine")

    assert (answer.applied, answer.cleared, answer.dry_run) == ("stored", False, False)
    decision = operator().explain("adapter:shelf").decision
    assert decision.winner is not None
    assert decision.winner.provider == "pine"
    assert decision.overridden is not None
    assert decision.overridden.origin == "oneiric.toml:2"
    assert operator().swap("adapter:shelf", clear=True).cleared is True
    assert winner(operator) == "oak"


def test_a_dry_run_tells_what_would_change_and_stores_nothing(
    operator: Make, tmp_path: Path
) -> None:
    """The changes are those of the real swap; the folder stays as it was."""
    dry = operator().swap("adapter:shelf", provider="pine", dry_run=True)

    assert list(tmp_path.iterdir()) == []
    assert [str(diff.before.ref) for diff in dry.changes] == ["adapter:shelf"]
    assert dry.as_json()["applied"] is None
    assert dry.changes == operator().swap("adapter:shelf", provider="pine").changes
    cleared = operator().swap("adapter:shelf", clear=True, dry_run=True)
    assert cleared.cleared is False
    assert winner(operator) == "pine"


def test_clearing_what_was_never_swapped_says_so_and_writes_nothing(
    operator: Make, tmp_path: Path
) -> None:
    """No verb pretends: there was nothing to clear."""
    answer = operator().swap("adapter:shelf", clear=True)

    assert (answer.cleared, answer.changes) == (False, ())
    assert list(tmp_path.iterdir()) == []


def test_a_swap_can_be_cleared_whatever_the_rest_says(operator: Make, tmp_path: Path) -> None:
    """A wrong selection in the file, or offers that are gone, are no reason to keep it."""
    (tmp_path / "oneiric.toml").write_text("[adapters.selections]\nshelf = 'okk'\n")
    operator().swap("adapter:shelf", provider="pine")
    bare = Operator(folder=tmp_path)

    assert operator().swap("adapter:shelf", clear=True).cleared is True
    operator().swap("adapter:shelf", provider="pine")
    assert bare.swap("adapter:shelf", clear=True).cleared is True
    with pytest.raises(NotFoundError):
        Operator(folder=tmp_path).swap("adapter:shelf", clear=True)


def test_a_swap_to_who_may_not_serve_is_refused_and_not_stored(
    operator: Make, tmp_path: Path
) -> None:
    """An unknown provider and a missing one are errors before anything is written."""
    with pytest.raises(UnknownSelectionError) as caught:
        operator().swap("adapter:shelf", provider="pin")
    assert (caught.value.known, caught.value.hint) == (("oak", "pine"), "did you mean pine?")
    for arguments in ({}, {"provider": "pine", "clear": True}):
        with pytest.raises(InvalidError, match="swap needs a provider, or --clear"):
            operator().swap("adapter:shelf", **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_status_names_process_and_winner_of_every_place(operator: Make) -> None:
    """Nothing was brought up here, and the answer says that it speaks of this process."""
    status = operator().status(domain="service")

    assert status.as_json()["applied"] == "local"
    assert [
        (str(decision.ref), decision.winner.provider, str(row.state), row.in_flight)
        for decision, row in status.rows
        if decision.winner and decision.ref != "service:greeter"
    ] == [("service:desk", "oak", "inactive", 0), ("service:shelf", "oak", "inactive", 0)]


SECRETS = """
[adapters.provider_settings.iron]
size = 4
pin = "hunter1"
pinn = "hunter2"
url = "https://me:hunter3@host/x"
headers = { Authorization = "hunter4", Accept = "json" }
peers = [{ name = "a", password = "hunter5" }]
[adapters.provider_settings.ghost]
anything = "hunter6"
[adapters.provider_settings.nobody]
anything = "hunter7"
[adapters.provider_settings."safe@iron"]
pin = "hunter8"
size = 5
"""


def test_no_secret_is_shown_however_it_is_spelled_or_nested(operator: Make, tmp_path: Path) -> None:
    """Secret by type, by name, inside an address or a list, or because nobody knows its type."""
    (tmp_path / "oneiric.toml").write_text(SECRETS)

    answer = operator().settings(sources=True)

    shown = {
        each.path.removeprefix("adapters.provider_settings."): each.value
        for each in answer.settings
        if each.path.startswith("adapters.provider_settings.")
    }
    hidden = "**********"
    assert shown == {
        "iron.size": 4,
        "iron.pin": hidden,
        "iron.pinn": hidden,
        "iron.url": f"https://{hidden}@host/x",
        "iron.headers.Authorization": hidden,
        "iron.headers.Accept": "json",
        "iron.peers": [{"name": "a", "password": hidden}],
        "ghost.anything": hidden,
        "nobody.anything": hidden,
        "safe@iron.pin": hidden,
        "safe@iron.size": 5,
    }
    assert "hunter" not in repr(answer.as_json())


def test_plugins_lists_what_was_found_and_from_where_factories_may_come(operator: Make) -> None:
    """The house's own rooms are among them; so is its prefix."""
    answer = operator().plugins().as_json()

    assert answer["schema"] == "oneiric.plugins/1"
    assert "oneiric" in answer["allowed_prefixes"]  # type: ignore[operator]
    assert answer["plugins"][0]["distribution"] == "oneiric"  # type: ignore[index, call-overload]


def test_looking_imports_no_provider(operator: Make) -> None:
    """An answer is made of offers as data; no factory's module is imported for it."""
    sys.modules.pop("oneiric.adapters.storage.local", None)

    operator().list(shadowed=True)
    operator().explain("adapter:storage")

    assert "oneiric.adapters.storage.local" not in sys.modules
