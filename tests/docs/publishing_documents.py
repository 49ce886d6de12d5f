"""One real document about publishing for each section of `docs/reference/json.md`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oneiric.runtime.keyring import NewKey
from oneiric.runtime.trust_desk import RoleChange, Rotation
from tests.runtime.publishing import ALICE, BOB, YAML, publisher

COLD = "  - {domain: adapter, key: cold, provider: acme, factory: 'other:Cold', artifact: null}\n"
FAULTY = "  - {domain: adapter, key: odd, provider: acme, factory: odd}\n"


def publishing_documents() -> dict[str, Any]:
    """Return a document for each section."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        return _documents()


def _documents() -> dict[str, Any]:
    maker = publisher(Path())
    desk, trust = maker.manifests, maker.trust
    path = maker.signed(ALICE, text=YAML + COLD)
    root = maker.root(ALICE)
    newer = maker.write(YAML.replace("7", "8").replace("key: cache", "key: warm"), "8.yaml")
    warm = YAML.replace("key: cache", "key: warm").replace("owner: me", "priority: 5")
    priced = maker.write(warm + COLD, "7.yaml")
    change = Rotation(root=RoleChange(add=(BOB.public,), threshold=2))
    odd = maker.write(YAML.replace("    license: MIT\n", "") + FAULTY, "odd.yaml")
    return {
        "Manifest file": desk.sign(newer, [ALICE], output=Path("8.json")).as_json(),
        "Verification of a manifest": desk.verify(path, trust=root).as_json(),
        "Inspection of a manifest": desk.inspect(odd).as_json(),
        "Difference of manifests": desk.diff(priced, newer).as_json(),
        "Lint of a manifest": desk.lint(odd).as_json(),
        "New key": NewKey(ALICE.public, Path("keys/acme.json"), is_sealed=False).as_json(),
        "Trust root file": trust.rotate(root, [ALICE], change=change).as_json(),
    }
