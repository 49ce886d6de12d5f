"""What the README states as fact is what the code has."""

from pathlib import Path

from tests.architecture.facts import FACTS, wrong_facts
from tests.architecture.source import ROOT


def test_readme_states_what_the_code_has() -> None:
    """Every marked fact of the README agrees with the code."""
    assert list(wrong_facts(ROOT / "README.md")) == []


def test_facts_can_be_told() -> None:
    """The facts that need no command line give words."""
    told = {name: fact() for name, fact in FACTS.items() if name != "commands"}
    assert [name for name, words in told.items() if not words] == []
    assert told["pythons"][0] == "3.11"
    assert "check" in told["targets"]


def test_a_wrong_fact_is_told_with_file_line_and_rule(tmp_path: Path) -> None:
    """A stale list, an unknown fact and an open marker are each one line."""
    page = tmp_path / "README.md"
    page.write_text(
        "# X\n<!-- fact:pythons -->`2.7`<!-- /fact -->\n"
        "<!-- fact:moon -->`full`<!-- /fact -->\n<!-- /fact -->\n"
    )
    first, second, third = wrong_facts(page)
    assert first.startswith("README.md:2: readme-fact: pythons states ['2.7'], the code has [")
    assert second.startswith("README.md:3: readme-fact: no fact moon; known: extras")
    assert third == "README.md:1: readme-fact: 2 markers open, 3 close"
