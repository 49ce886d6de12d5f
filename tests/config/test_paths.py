"""Paths: which file is read, and where state is kept."""

from pathlib import Path

import pytest

from oneiric.config.paths import CachePaths, find_file
from oneiric.errors import ConfigError, DocumentError, InvalidPathError, NotFoundError


def test_the_state_folder_names_its_files() -> None:
    """All below one folder; nothing is created."""
    paths = CachePaths.under(Path("/srv"))

    assert [
        str(path) for path in (paths.database, paths.activity, paths.keys, paths.artifacts)
    ] == [
        "/srv/.oneiric_cache/oneiric.sqlite",
        "/srv/.oneiric_cache/domain_activity.sqlite",
        "/srv/.oneiric_cache/keys",
        "/srv/.oneiric_cache/artifacts",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("oneiric.toml", "# x\n[app]\nname = 'a'\n"),
        ("oneiric.yaml", "# x\napp:\n  name: a\n"),
        ("oneiric.yml", "# x\napp:\n  name: a\n"),
        ("oneiric.json", '{\n"app": {\n"name": "a"}}'),
    ],
)
def test_each_language_is_found_in_the_folder(tmp_path: Path, name: str, text: str) -> None:
    """The tables and the line of each key are those of the file."""
    (tmp_path / name).write_text(text)

    file = find_file(tmp_path, named=None)

    assert (file.path, file.values) == (tmp_path / name, {"app": {"name": "a"}})
    assert file.origin("app.name") == f"{name}:3"


def test_a_folder_without_a_file_gives_none(tmp_path: Path) -> None:
    """A `pyproject.toml` that says nothing about Oneiric counts as none."""
    assert find_file(tmp_path, named=None).path is None
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert find_file(tmp_path, named=None).path is None


def test_a_table_in_pyproject_counts_and_yields_to_a_file(tmp_path: Path) -> None:
    """Lines are those of `pyproject.toml`."""
    (tmp_path / "pyproject.toml").write_text("[project]\n[tool.oneiric.app]\nname = 'x'\n")

    file = find_file(tmp_path, named=None)
    assert (file.values, file.origin("app.name")) == ({"app": {"name": "x"}}, "pyproject.toml:3")

    (tmp_path / "oneiric.toml").write_text("")
    assert find_file(tmp_path, named=None).shown == "oneiric.toml"


def test_two_files_in_one_folder_are_an_error(tmp_path: Path) -> None:
    """Neither is quietly left out."""
    (tmp_path / "oneiric.toml").write_text("")
    (tmp_path / "oneiric.json").write_text("{}")

    with pytest.raises(ConfigError, match=r"oneiric\.toml and oneiric\.json"):
        find_file(tmp_path, named=None)


def test_defect_oneiric_c5_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """It is not the same as no configuration; the path is told."""
    with pytest.raises(NotFoundError, match=r"staging\.toml"):
        find_file(tmp_path, named=Path("staging.toml"))


@pytest.mark.parametrize("name", ["oneiric.toml", "oneiric.json", "pyproject.toml"])
def test_a_link_to_nothing_is_an_error_and_not_no_configuration(tmp_path: Path, name: str) -> None:
    """The error names the link and where it leads."""
    (tmp_path / name).symlink_to("gone.toml")

    with pytest.raises(InvalidPathError) as caught:
        find_file(tmp_path, named=None)

    assert caught.value.message == f"{name}: it is a link to gone.toml, which does not exist"


def test_a_named_pyproject_must_have_the_table(tmp_path: Path) -> None:
    """Who names it means it."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")

    with pytest.raises(ConfigError, match=r"\[tool\.oneiric\]"):
        find_file(tmp_path, named=Path("pyproject.toml"))


def test_a_file_that_is_no_table_of_sections_is_an_error(tmp_path: Path) -> None:
    """So is one in no known language, and a folder."""
    (tmp_path / "a.yaml").write_text("- app\n")
    (tmp_path / "a.ini").write_text("")

    with pytest.raises(ConfigError, match=r"a\.yaml configures nothing"):
        find_file(tmp_path, named=Path("a.yaml"))
    with pytest.raises(DocumentError, match=r"a\.ini"):
        find_file(tmp_path, named=Path("a.ini"))
    (tmp_path / "d.toml").mkdir()
    with pytest.raises(InvalidPathError):
        find_file(tmp_path, named=Path("d.toml"))


def test_a_broken_file_is_told_with_its_line(tmp_path: Path) -> None:
    """Source and line lead to the fault."""
    (tmp_path / "oneiric.toml").write_text("[app]\nname = \n")

    with pytest.raises(DocumentError, match=r"^oneiric\.toml:2: "):
        find_file(tmp_path, named=None)
