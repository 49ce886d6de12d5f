"""`serialization.encode`: round trips, no pickle, and no file outside its folders."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given as law

from oneiric.documents import parse
from oneiric.documents.yaml_write import yaml_of
from oneiric.domains import InvalidPayloadError
from oneiric.errors import InvalidPathError, NotFoundError
from tests.actions.conftest import Act, GivenSettings
from tests.actions.values import VALUES

KEY = "serialization.encode"


@law(value=VALUES)
def test_any_value_comes_back_from_yaml(value: Any) -> None:
    """Ours and any reader of YAML 1.1 read what was written."""
    text = yaml_of(value)

    assert parse(text.encode(), "yaml") == value
    assert yaml.safe_load(text) == value


@pytest.mark.parametrize("form", ["json", "yaml"])
async def test_what_is_encoded_decodes_to_the_same(act: Act, form: str) -> None:
    """Text that looks like something else stays text; order is kept."""
    value = {"z": ["yes", "1e5", "<<", None, True, 1.5], "a": {"": "😀\n"}}

    encoded = await act(KEY, mode="encode", format=form, value=value)
    decoded = await act(KEY, mode="decode", format=form, text=encoded["text"])

    assert (encoded["status"], decoded["status"]) == ("encoded", "decoded")
    assert json.dumps(decoded["data"]) == json.dumps(value)


async def test_defect_oneiric_z1_pickle_is_refused(act: Act, tmp_path: Path) -> None:
    """Neither written nor read, from text or from a file; no code of a payload runs."""
    (tmp_path / "x").write_bytes(pickle.dumps({}))
    for wrong in (
        {"mode": "decode", "format": "pickle", "text": "gASVAA=="},
        {"mode": "decode", "format": "pickle", "path": "x"},
        {"mode": "encode", "format": "pickle", "value": 1},
    ):
        with pytest.raises(InvalidPayloadError, match="runs code as it is read"):
            await act(KEY, **wrong)


async def test_defect_oneiric_z1_no_file_outside_the_roots(
    act: Act, given: GivenSettings, tmp_path: Path
) -> None:
    """Neither read nor written: by `..`, absolute, by a link, or hidden."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "x.json").write_text("1")
    (root / ".env").write_text("1")
    (root / "way").symlink_to(outside)
    given["builtin-serialization"] = {"roots": [str(root)]}

    for path in ("../outside/x.json", f"{outside}/x.json", "way/x.json", ".env", ".git/x", "~/x"):
        for mode in ({"mode": "decode"}, {"mode": "encode", "value": 2}):
            with pytest.raises((InvalidPathError, NotFoundError)):
                await act(KEY, path=path, **mode)
    assert (outside / "x.json").read_text() == "1"
    assert sorted(each.name for each in outside.iterdir()) == ["x.json"]


async def test_the_working_directory_is_the_root_by_default(
    act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is written there and read again; by its absolute path too."""
    monkeypatch.chdir(tmp_path)

    wrote = await act(KEY, mode="encode", format="yaml", data={"a": 1}, path="a.yaml")
    read = await act(KEY, mode="decode", format="yaml", path=str(tmp_path / "a.yaml"))

    assert wrote["path"] == read["path"] == str(tmp_path / "a.yaml")
    assert (wrote["text"], read["data"]) == ("a: 1\n", {"a": 1})
    with pytest.raises(InvalidPathError):
        await act(KEY, mode="encode", value=1, path="../b")


async def test_what_is_too_long_or_no_document_is_refused(
    act: Act, given: GivenSettings, tmp_path: Path
) -> None:
    """The limit holds for text, files and values; duplicate keys and NaN are no JSON."""
    given["builtin-serialization"] = {"roots": [str(tmp_path)], "max_bytes": 20}
    (tmp_path / "long.json").write_text(" " * 30)

    for text in ("[" + " " * 30 + "]", '{"a":1,"a":2}', "NaN", "{"):
        with pytest.raises(InvalidPayloadError, match=r"payload\.text"):
            await act(KEY, mode="decode", text=text)
    with pytest.raises(InvalidPayloadError, match=r"payload\.value"):
        await act(KEY, mode="encode", value="x" * 30)
    with pytest.raises(InvalidPathError):
        await act(KEY, mode="decode", path="long.json")


async def test_a_mode_takes_its_own_fields_only(act: Act) -> None:
    """A value to encode, and null is one; text or a path to decode."""
    assert (await act(KEY, value=None))["text"] == "null"
    for wrong in (
        {},
        {"value": 1, "text": "1"},
        {"mode": "decode"},
        {"mode": "decode", "text": "1", "path": "x"},
        {"mode": "decode", "text": "1", "value": 1},
    ):
        with pytest.raises(InvalidPayloadError):
            await act(KEY, **wrong)


async def test_defect_oneiric_z1_no_hidden_file_through_a_link(
    act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a visible link leads to counts, not what it is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".state").mkdir()
    (tmp_path / "visible").symlink_to(".state")

    with pytest.raises(InvalidPathError, match="hidden"):
        await act(KEY, mode="encode", value=1, path="visible/x")
    assert list((tmp_path / ".state").iterdir()) == []
