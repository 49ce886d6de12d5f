"""The reference pages say what the code says."""

import importlib
import re
from collections.abc import Iterator

import pytest

import oneiric.errors
from oneiric.errors import OneiricError, RefusedError
from oneiric.runtime.settings import SECTIONS
from tests.architecture.facts import commands, extras
from tests.architecture.source import ROOT, House, read_house
from tests.docs.commands import command_line_page
from tests.docs.docstrings import markdown_of
from tests.docs.reference import (
    EXIT_CODES,
    FOLDER,
    PAGES,
    error_classes,
    error_tree,
    front_door_page,
)
from tests.docs.settings import extras_of_offers, meanings

_DRAWN = re.compile(r"^ *((?:│   |    )*(?:[├└]── )?)(\w+Error)\b *(\d?)", re.MULTILINE)


@pytest.fixture(scope="module")
def house() -> House:
    """The package as it is."""
    return read_house(ROOT)


@pytest.mark.parametrize("name", PAGES)
def test_reference_page_is_up_to_date(name: str, house: House) -> None:
    """The committed page is what `make docs` writes."""
    if (FOLDER / name).read_text(encoding="utf-8") != PAGES[name](house):
        pytest.fail(f"docs/reference/{name} is stale: run `make docs`", pytrace=False)


@pytest.fixture(scope="module")
def errors(house: House) -> list[type[OneiricError]]:
    """Every error class of the package."""
    return error_classes(house)


def test_error_codes_tell_errors_apart(errors: list[type[OneiricError]]) -> None:
    """Two classes share a code only when one derives from the other."""
    first: dict[str, type[OneiricError]] = {}
    for cls in errors:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cls.code), cls
        assert issubclass(cls, first.setdefault(cls.code, cls)), f"{cls} takes {cls.code}"


def test_error_exit_codes_are_on_the_page(errors: list[type[OneiricError]]) -> None:
    """No error ends a command with a number that the table does not explain."""
    assert {error.exit_code for error in errors} <= set(EXIT_CODES)


def test_drawn_tree_is_the_tree(errors: list[type[OneiricError]]) -> None:
    """The tree in the docstring of `oneiric.errors` shows its classes and their numbers."""
    own = [cls for cls in errors if cls.__module__ == OneiricError.__module__]
    drawn = list(_drawn(oneiric.errors.__doc__ or ""))
    real = {error.cls.__name__: error.depth for error in error_tree(own)}
    assert {name: depth for name, depth, _ in drawn} == real
    numbers = {cls.__name__: str(cls.exit_code) for cls in own}
    assert [name for name, _, number in drawn if number and number != numbers[name]] == []


def _drawn(text: str) -> Iterator[tuple[str, int, str]]:
    base = min(len(m[0]) - len(m[0].lstrip()) for m in _DRAWN.finditer(text))
    for match in _DRAWN.finditer(text):
        before = match[0].index(match[2]) - base
        yield match[2], before // 4, match[3]


def test_errors_of_a_room_join_the_tree() -> None:
    """A class with two parents stands once, below the first, with what Python inherits."""

    class StreamError(OneiricError):
        """The stream broke."""

        code = "stream"

    class StreamRefusedError(StreamError, RefusedError):
        """The stream
        was refused.

        Told to nobody."""

    tree = error_tree([OneiricError, RefusedError, StreamError, StreamRefusedError])
    shown = [(error.cls.__name__, error.depth, error.cls.exit_code) for error in tree]
    assert shown == [
        ("OneiricError", 0, 1),
        ("RefusedError", 1, 3),
        ("StreamError", 1, 1),
        ("StreamRefusedError", 2, 3),
    ]
    assert tree[-1].meaning == "The stream was refused."


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


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_the_configuration_has_a_meaning(section: str) -> None:
    """A docstring stands below each field of a section's model."""
    model = SECTIONS[section]
    assert list(meanings(model)) == list(model.model_fields)


def test_every_command_is_on_the_page_of_the_command_line(house: House) -> None:
    """Each has a heading, groups by their commands."""
    headings = re.findall(r"^## oneiric ([\w-]+)", command_line_page(house), re.MULTILINE)
    assert sorted(set(headings)) == commands()


def test_extras_of_providers_are_extras_of_the_distribution() -> None:
    """What an offer asks to install can be installed."""
    assert {extra for extra in extras_of_offers().values() if extra} <= set(extras())


def test_docstrings_become_markdown() -> None:
    """Prompts are fenced, sections become lists, the rest stays."""
    text = "Add.\n\n>>> 1 + 1\n2\n\nRaises:\n    ValueError: no\n        number.\n"
    assert markdown_of(text) == (
        "Add.\n\n```pycon\n>>> 1 + 1\n2\n```\n\n**Raises**\n\n- `ValueError`: no number.\n"
    )
