"""Fuzz one door, guided by coverage: `python -m tests.fuzz.child DOOR [option of libFuzzer]...`."""

import sys

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["oneiric", "tomllib", "yaml", "tests.fuzz"]):
    from tests.fuzz.doors import enter

NAME = sys.argv[1]

atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: enter(NAME, data))
atheris.Fuzz()
