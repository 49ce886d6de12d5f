"""The reference pages say what the code says."""

import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import oneiric.errors
from tests.architecture.source import ROOT, House, build_house, read_house
from tests.docs.docstrings import markdown_of
from tests.docs.reference import EXIT_CODES, FOLDER, PAGES, error_tree, front_door_page

_DRAWN = re.compile(r"^ *((?:│   |    )*(?:[├└]── )?)(\w+Error)\b *(\d?)", re.MULTILINE)


@pytest.fixture(scope="module")
def house() -> House:
    """The package as it is."""
    return read_house(ROOT)


@pytest.mark.parametrize("name", PAGES)
def test_reference_page_is_up_to_date(name: str, house: House) -> None:
    """The committed page is what `make docs` writes."""
    page = (FOLDER / name).read_text(encoding="utf-8")
    assert page == PAGES[name](house), f"docs/reference/{name} is stale: run `make docs`"


def test_error_codes_are_unique(house: House) -> None:
    """Each class of the tree has a code of its own, in lower case with dashes."""
    codes = Counter(error.code for error in error_tree(house))
    assert [code for code, count in codes.items() if count > 1] == []
    assert [code for code in codes if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)] == []


def test_error_exit_codes_are_on_the_page(house: House) -> None:
    """No error ends a command with a number that the table does not explain."""
    assert {error.exit_code for error in error_tree(house)} <= set(EXIT_CODES)


def test_drawn_tree_is_the_tree(house: House) -> None:
    """The tree in the docstring of `oneiric.errors` shows its classes, order and numbers."""
    drawn = list(_drawn(oneiric.errors.__doc__ or ""))
    real = [e for e in error_tree(house) if e.module == "oneiric.errors"]
    numbers = {error.name: error.exit_code for error in real}
    shown = [(name, depth) for name, depth, _ in drawn]
    assert sorted(shown) == sorted((error.name, error.depth) for error in real)
    assert {name: number for name, _, number in drawn if number} == {
        name: str(numbers[name]) for name, _, number in drawn if number
    }


def _drawn(text: str) -> Iterator[tuple[str, int, str]]:
    base = min(len(m[0]) - len(m[0].lstrip()) for m in _DRAWN.finditer(text))
    for match in _DRAWN.finditer(text):
        before = match[0].index(match[2]) - base
        yield match[2], before // 4, match[3]


def test_errors_of_a_room_join_the_tree(tmp_path: Path) -> None:
    """A class that another file derives appears below its parent, with what it inherits."""
    house = build_house(
        tmp_path,
        {
            "oneiric/errors.py": 'class OneiricError(Exception):\n    """Failed."""\n'
            '    code: ClassVar[str] = "failed"\n    exit_code: ClassVar[int] = 1\n',
            "oneiric/web/errors.py": 'class WebError(errors.OneiricError):\n    """Web."""\n'
            '    code = "web"\n',
        },
    )
    shown = [(error.name, error.code, error.exit_code) for error in error_tree(house)]
    assert shown == [("OneiricError", "failed", 1), ("WebError", "web", 1)]


def test_front_door_page_shows_names_with_their_methods(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class is shown with its docstring and its public methods."""
    monkeypatch.setattr("oneiric.__all__", ["Plugin"], raising=False)
    monkeypatch.setattr(
        "oneiric.Plugin", importlib.import_module("oneiric.core.plugin").Plugin, raising=False
    )
    page = front_door_page(house)
    assert "## Plugin\n" in page
    assert "### Plugin.__init__\n" in page
    assert "```pycon\n>>> Plugin(" in page


def test_docstrings_become_markdown() -> None:
    """Prompts are fenced, sections become lists, the rest stays."""
    text = "Add.\n\n>>> 1 + 1\n2\n\nRaises:\n    ValueError: no\n        number.\n"
    assert markdown_of(text) == (
        "Add.\n\n```pycon\n>>> 1 + 1\n2\n```\n\n**Raises**\n\n- `ValueError`: no number.\n"
    )
