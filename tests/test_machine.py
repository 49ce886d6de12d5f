"""Version specifiers and systems: what includes this machine."""

import sys

import pytest

from oneiric.machine import check_python, python_matches, runs_on, system

HERE = system()
ELSEWHERE = "windows" if HERE != "windows" else "linux"


@pytest.mark.parametrize(
    ("specifier", "version", "fits"),
    [
        ("", (3, 11, 0), True),
        (">=3.11", (3, 11, 0), True),
        (">=3.11", (3, 10, 9), False),
        (">3.11", (3, 11, 0), False),
        ("<3.12", (3, 11, 9), True),
        ("<=3.11", (3, 11, 1), False),
        ("==3.11", (3, 11, 0), True),
        ("==3.11", (3, 11, 4), False),
        ("==3.11.*", (3, 11, 4), True),
        ("!=3.11.*", (3, 11, 4), False),
        ("!=3.11.4", (3, 11, 5), True),
        ("~=3.11", (3, 14, 0), True),
        ("~=3.11", (4, 0, 0), False),
        ("~=3.11.2", (3, 11, 9), True),
        ("~=3.11.2", (3, 12, 0), False),
        ("~=3.11.2", (3, 11, 1), False),
        ("~=3.11.0", (3, 11), True),
        (" >= 3.11 , < 3.14 ", (3, 13, 5), True),
        (">=3.11,<3.14", (3, 14, 0), False),
        (">=3", (3, 11, 0), True),
        (">=3.9", (3, 10, 0), True),
    ],
)
def test_versions_are_compared_as_numbers(
    specifier: str, version: tuple[int, ...], fits: bool
) -> None:
    """Release numbers compare as PEP 440 says, padded with zeros."""
    assert check_python(specifier) == ""
    assert python_matches(specifier, version) is fits


@pytest.mark.parametrize(
    "clause",
    [
        "3.11",
        "3.11+",
        ">=3.11.*",
        "~=3",
        "~=3.11.*",
        ">=three",
        "=>3.11",
        ">=\u0663.\u0661",
        ">=" + "9" * 10,
    ],
)
def test_a_clause_that_means_nothing_is_refused(clause: str) -> None:
    """A clause that PEP 440 does not define is refused before anything is compared."""
    assert check_python(f">=3.11,{clause}") == f"{clause!r} is no version clause such as >=3.11"


def test_a_specifier_that_is_no_text_is_refused() -> None:
    """`python_version=3.11` is the float 3.11, and told so."""
    assert check_python(3.11) == "it is float, not text"


def test_systems_are_known_by_their_usual_names() -> None:
    """An empty list names every system; spelling variants name the same one."""
    aliases = {"macos": ["macos", "darwin", "osx", "Darwin"], "windows": ["windows", "win32"]}

    assert runs_on(())
    assert runs_on((ELSEWHERE, HERE))
    assert runs_on((HERE.upper(),))
    assert not runs_on((ELSEWHERE,))
    assert all(runs_on((name,)) is (canon == HERE) for canon in aliases for name in aliases[canon])


def test_an_unlisted_system_is_called_what_python_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without a name of ours may still be named in an offer."""
    monkeypatch.setattr(sys, "platform", "freebsd14")

    assert system() == "freebsd14"
    assert runs_on(("freebsd14",))
    assert not runs_on(("linux",))
