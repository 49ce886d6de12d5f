"""The tests run in the folder of the example, whose modules can be imported."""

import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def folder(monkeypatch):
    """Work where the recipes' relative paths start."""
    monkeypatch.chdir(HERE)
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
