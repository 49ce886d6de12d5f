"""Precedence: the stack order's grammar, levels, and where numbers come from."""

import pytest

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.precedence import RULES, Number, Rule, Selection, StackOrder, deciding_rule
from oneiric.errors import ConfigError, InvalidRefError

VARIABLE = "ONEIRIC_STACK_ORDER"
MANIFEST = Source(SourceKind.MANIFEST, "acme", version="3")
PLUGIN = Source(SourceKind.PLUGIN, "plug", version="2")


def levels(text: str) -> dict[str, int]:
    return dict(StackOrder.parse(text, origin=VARIABLE).levels)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("  ", {}),
        ("base", {"base": 0}),
        ("base,team,site", {"base": 0, "team": 10, "site": 20}),
        ("base,team,site:50", {"base": 0, "team": 10, "site": 50}),
        ("a,b:50,c,d", {"a": 0, "b": 50, "c": 60, "d": 70}),
        ("low:-20,base", {"low": -20, "base": 0}),
        (" base , team : 7 ", {"base": 0, "team": 7}),
        ("acme-cache,my.site_2:1000", {"acme-cache": 0, "my.site_2": 1000}),
    ],
)
def test_promise_r1_the_stack_order_lists_stacks_bottom_to_top(
    text: str, expected: dict[str, int]
) -> None:
    """The first bare name has level 0, a further one 10 above what precedes it, `:level` sets."""
    assert levels(text) == expected
    assert list(levels(text)) == list(expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("base,team:high", "'team:high' has a level that is not a whole number"),
        ("base,team:1.5", "'team:1.5' has a level that is not a whole number"),
        ("base,team:", "'team:' has a level that is not a whole number"),
        ("base,team:1:2", "'team:1:2' has a level that is not a whole number"),
        ("base,team:+5", "'team:+5' has a level that is not a whole number"),
        ("base,team:\u0663", "'team:\u0663' has a level that is not a whole number"),
        (f"base,team:{'9' * 5000}", f"'team:{'9' * 5000}' has a level that is not a whole number"),
        ("base,,team", "'' does not name a stack"),
        ("base,", "'' does not name a stack"),
        (" , ", "'' does not name a stack"),
        ("base,:5", "':5' does not name a stack"),
        ("base,../x", "'../x' does not name a stack"),
        ("base,my team", "'my team' does not name a stack"),
        ("base,team,base", "'base' names base a second time"),
        ("base,team:0", "'team:0' has level 0, which does not rise above 0"),
        ("base:50,team:20", "'team:20' has level 20, which does not rise above 50"),
        ("a,b:50,c,d:55", "'d:55' has level 55, which does not rise above 60"),
        ("a:50,b", "'b' has level 0, which does not rise above 50"),
    ],
)
def test_promise_r1_a_bad_token_is_shown(text: str, problem: str) -> None:
    """A token that names no stack, repeats one or does not rise is shown with its origin."""
    with pytest.raises(ConfigError) as caught:
        StackOrder.parse(text, origin=VARIABLE)

    assert [str(p) for p in caught.value.problems] == [f"stack_order: {problem} ({VARIABLE})"]
    assert caught.value.hint == "list stacks bottom to top, as in base,team,site:50"
    assert caught.value.exit_code == 2


def test_a_stack_order_cannot_be_changed() -> None:
    """Whoever made it from a table of their own may change theirs, not ours."""
    table = {"base": 0}
    order = StackOrder(table, "here")

    table["base"] = 99
    with pytest.raises(TypeError):
        order.levels["base"] = 99  # type: ignore[index]

    assert dict(order.levels) == {"base": 0}


@pytest.mark.parametrize(
    ("candidate", "level"),
    [
        (Candidate("adapter:c", "p", dict), Number(0, "default")),
        (Candidate("adapter:c", "p", dict, stack_level=7), Number(7, "code")),
        (Candidate("adapter:c", "p", dict, stack="team", stack_level=7), Number(10, VARIABLE)),
        (Candidate("adapter:c", "p", dict, source=PLUGIN), Number(0, "default")),
        (
            Candidate("adapter:c", "p", dict, source=PLUGIN, stack_level=7),
            Number(7, "plugin:plug 2"),
        ),
        (
            Candidate("adapter:c", "p", dict, source=MANIFEST, stack_level=7),
            Number(-1, "no stack order names the manifest's stack"),
        ),
        (
            Candidate("adapter:c", "p", dict, source=MANIFEST, stack_level=7, stack="team"),
            Number(10, VARIABLE),
        ),
    ],
)
def test_promise_r3_a_level_tells_where_it_was_set(candidate: Candidate, level: Number) -> None:
    """The order's own origin, the offer's source, the default, or the lack of a name."""
    order = StackOrder.parse("base,team", origin=VARIABLE)

    assert order.explain_level(candidate) == level
    assert order.level_of(candidate) == level.value


def test_the_rules_are_four_and_in_order() -> None:
    """The first rule whose values differ decides."""
    assert [str(rule) for rule in RULES] == [
        "selection",
        "stack level",
        "priority",
        "latest registration",
    ]
    assert [
        deciding_rule((True, 0, 0, 1), (False, 9, 9, 9)),
        deciding_rule((False, 1, 0, 1), (False, 0, 9, 9)),
        deciding_rule((False, 1, 2, 1), (False, 1, 1, 9)),
        deciding_rule((False, 1, 2, 3), (False, 1, 2, 1)),
    ] == [
        (Rule.SELECTION, 1, 0),
        (Rule.STACK, 1, 0),
        (Rule.PRIORITY, 2, 1),
        (Rule.LATEST, 3, 1),
    ]


def test_a_selection_fills_a_place() -> None:
    """However it is written, it is about a place, and its provider is a name."""
    by_text = Selection.of("adapter:cache@redis", "memory", origin="oneiric.toml:3")
    direct = Selection("adapter:cache@redis", "memory", "oneiric.toml:3")  # type: ignore[arg-type]

    assert by_text == direct
    assert (by_text.ref, by_text.provider) == ("adapter:cache", "memory")
    assert type(direct.ref) is type(by_text.ref)
    for ref, provider in (("adapter:cache", "a/b"), ("cache", "memory"), ("adapter:cache", "")):
        with pytest.raises(InvalidRefError):
            Selection.of(ref, provider)
