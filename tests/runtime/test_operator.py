"""What the operator answers: from configuration and stored state, changing nothing unasked."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.errors import (
    InvalidError,
    NoCandidateError,
    NotFoundError,
    StoreError,
    UnknownSelectionError,
)
from oneiric.runtime import Operator

SHELF = Plugin(
    [
        Candidate("adapter:shelf", "oak", dict, priority=1, capabilities=["wide", "dry"]),
        Candidate("adapter:shelf", "pine", dict),
        Candidate("adapter:safe", "iron", dict),
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
        ("pine", "the only one that may serve"),
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


def test_an_assumption_that_withdraws_nobody_is_not_found(operator: Make) -> None:
    """A slip is told with the nearest offer, and never taken for an assumption of nothing."""
    for word, message, hint in (
        ("oka", "no candidate for adapter:shelf by oka", "did you mean oak?"),
        ("adapter:safe@z", "no candidate for adapter:safe by z", "oneiric explain adapter:safe"),
        ("task:desk@oak", "no candidate for task:desk", "oneiric list shows what there is"),
    ):
        with pytest.raises(NotFoundError) as caught:
            operator().explain("adapter:shelf", assume=[f"withdraw={word}"])
        assert (caught.value.message, caught.value.hint) == (message, hint)


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
    assert (cleared.cleared, cleared.as_json()["applied"]) == (True, None)
    assert winner(operator) == "pine"


def test_selecting_the_same_provider_again_changes_no_decision(operator: Make) -> None:
    """It is stored anew, and that it was said at another time is no change to tell."""
    first = operator().swap("adapter:shelf", provider="pine")
    again = operator().swap("adapter:shelf", provider="pine")

    assert (bool(first.changes), again.changes, again.applied) == (True, (), "stored")


def test_a_selection_of_who_has_vanished_tells_how_to_end_it(
    operator: Make, tmp_path: Path
) -> None:
    """The hint is the command that ends the stored swap; a slip in the file has another."""
    operator().swap("adapter:shelf", provider="pine")
    left = Plugin([Candidate("adapter:shelf", "oak", dict)])

    decision = Operator(folder=tmp_path, plugins=(left,)).explain("adapter:shelf").decision

    assert decision.problem is not None
    assert decision.problem.hint == "oneiric swap adapter:shelf --clear"
    assert "hint: oneiric swap adapter:shelf --clear" in decision.render()
    operator().swap("adapter:shelf", clear=True)
    (tmp_path / "oneiric.toml").write_text("[adapters.selections]\nshelf = 'pin'\n")
    slip = operator().explain("adapter:shelf").decision.problem
    assert slip is not None
    assert slip.hint == "did you mean pine?"


def test_a_damaged_database_stops_nobody_who_only_looks(operator: Make, tmp_path: Path) -> None:
    """Reading goes on without the stored selections and warns; swaps of every kind fail."""
    operator().swap("adapter:shelf", provider="pine")
    database = tmp_path / ".oneiric_cache" / "oneiric.sqlite"
    database.write_bytes(b"no database, but long enough to be one" * 30)
    content = database.read_bytes()

    looking = operator()
    assert winner(operator) == "oak"
    assert looking.list().decisions
    assert looking.plugins().plugins
    assert looking.settings().settings
    assert looking.orchestrator.warnings()[0] == (
        f"selections made with swap are left out: {database}: file is not a database"
    )
    for arguments in ({"provider": "oak"}, {"clear": True}):
        for dry_run in (False, True):
            with pytest.raises(StoreError, match="file is not a database"):
                operator().swap("adapter:shelf", dry_run=dry_run, **arguments)
    assert database.read_bytes() == content


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
