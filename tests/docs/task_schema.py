"""The JSON Schema of task files, as the reference page that editors read."""

from __future__ import annotations

import json

from oneiric.validation.schema import task_schema
from tests.architecture.source import House


def task_schema_page(_house: House) -> str:
    """Return the schema as text."""
    return json.dumps(task_schema(), indent=2) + "\n"
