"""Tables fit the terminal: whole words, no line too wide, no text lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.text.layout import as_table

HEADERS = ("component", "provider", "standing", "why", "source")
ROWS = [
    ("adapter:cache", "memory", "selected", "priority 50", "plugin:oneiric 0.1.0"),
    (
        "service:notification",
        "multitier",
        "rejected",
        "quarantined for 10 s: failed 3 times, last: it is out",
        "plugin:oneiric-example-plugin 0.1.0",
    ),
    ("workflow:word-report", "-", "nobody", "", ""),
]
WIDTHS = (20, 40, 60, 80, 200)


def words(text: str) -> list[str]:
    """Return the words of *text*, sorted; a hyphen ends one, as a line may break there."""
    return sorted(re.findall(r"[^\s-]+-?|-", text))


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal_and_no_text_is_lost(width: int) -> None:
    """Every word of every cell is there, whole if it can be."""
    shown = as_table(HEADERS, ROWS, width=width)

    assert max(map(len, shown.splitlines())) <= width
    letters = re.sub(r"\s", "", shown)
    for row in ROWS:
        for cell in row:
            fits = max(map(len, [*cell.split(), ""])) <= width - 2
            for word in words(cell) if fits else ():
                assert word in words(shown)
    if width < 60:
        assert all(re.sub(r"\s", "", cell) in letters for row in ROWS for cell in row)


@given(
    st.lists(
        st.lists(st.text(st.sampled_from("ab-, .é\x1b"), max_size=30), min_size=3, max_size=3),
        min_size=1,
        max_size=4,
    ),
    st.integers(20, 90),
)
def test_any_rows_fit_any_width(rows: list[list[str]], width: int) -> None:
    """Whatever hyphens and spaces the cells have."""
    shown = as_table(("one", "two", "three"), rows, width=width)

    assert max(map(len, shown.splitlines()), default=0) <= width


def test_a_wide_terminal_shows_a_line_a_row() -> None:
    """Columns are as wide as what they hold, two spaces apart; no line ends in a space."""
    assert as_table(HEADERS[:3], [row[:3] for row in ROWS], width=200).splitlines() == [
        "component             provider   standing",
        "adapter:cache         memory     selected",
        "service:notification  multitier  rejected",
        "workflow:word-report  -          nobody",
    ]


def test_a_narrower_one_wraps_the_widest_column_between_words() -> None:
    """What is short stays on one line."""
    assert as_table(HEADERS[:4], [row[:4] for row in ROWS], width=70).splitlines() == [
        "component             provider   standing  why",
        "adapter:cache         memory     selected  priority 50",
        "service:notification  multitier  rejected  quarantined for 10 s:",
        "                                           failed 3 times, last: it is",
        "                                           out",
        "workflow:word-report  -          nobody",
    ]


def test_a_narrow_one_stacks_the_fields_of_a_row() -> None:
    """One field a line, rows apart, and what is empty left out."""
    assert as_table(HEADERS, ROWS[1:], width=40).splitlines() == [
        "component: service:notification",
        "provider: multitier",
        "standing: rejected",
        "why: quarantined for 10 s: failed 3",
        "  times, last: it is out",
        "source: plugin:oneiric-example-plugin",
        "  0.1.0",
        "",
        "component: workflow:word-report",
        "provider: -",
        "standing: nobody",
    ]


def test_what_could_steer_a_terminal_is_masked() -> None:
    """Text of plugins and files is shown, never obeyed."""
    shown = as_table(("name",), [("a\x1b[2Jb\rc\u202e",)], width=80)

    assert shown.splitlines() == ["name", "a?[2Jb?c?"]
