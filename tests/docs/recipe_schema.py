"""The JSON Schema of recipes, as the reference page that editors read."""

from __future__ import annotations

import json

from oneiric.recipes.schema import recipe_schema
from tests.architecture.source import House


def recipe_schema_page(_house: House) -> str:
    """Return the schema as text."""
    return json.dumps(recipe_schema(), indent=2) + "\n"
