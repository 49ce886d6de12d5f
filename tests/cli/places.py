"""A folder from which the commands of validation ask a small production."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.commands import Finished
from tests.acceptance.production import Production, validation

DONE = "DONE, 2 of 2 proofs (2 required), 2 of 2 standard checks"
"""How a task is told that was done by `Place.tried`."""


class Place:
    """A folder with the file that names production."""

    def __init__(self, folder: Path, production: Production) -> None:
        self.folder = folder
        self.production = production
        self.configure(prod_url=production.url)

    def configure(self, **fields: object) -> None:
        """Write the file."""
        file = self.folder / ".snipara-orchestrator.json"
        file.write_text(json.dumps(fields))
        file.chmod(0o600)

    def say(self, *words: str, **variables: str) -> Finished:
        """Run a command of validation here."""
        return validation(*words, folder=self.folder, variables=variables)

    def tried(self, *more: str) -> Finished:
        """Try a task that is done when production is well."""
        return self.say("run", "users", "-t", "true", "-e", "/api/users", "-r", "2", *more)
