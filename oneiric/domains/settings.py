"""What configuration says about the components of one domain."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from oneiric.documents.model import refused
from oneiric.text.names import is_name


def _name(text: str) -> str:
    if not is_name(text):
        raise refused(f"{text!r} is no name")
    return text


Name: TypeAlias = Annotated[str, AfterValidator(_name)]
"""Text that may name a key or a provider."""


class DomainSettings(BaseModel):
    """Selections by key, and settings by provider.

    A provider's settings stand under its name, `redis`, or under `cache@redis` when two
    keys of the domain have a provider of that name. A component gets both tables, merged key by
    key; where both set a key, the longer name's counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    selections: dict[Name, Name] = Field(default_factory=dict)
    """Key to the provider that shall serve it."""
    provider_settings: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    """Provider, or `key@provider`, to its settings."""
