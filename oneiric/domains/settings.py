"""What configuration says about the components of one domain."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class DomainSettings(BaseModel):
    """Selections by key, and settings by provider.

    A provider's settings stand under its name, `redis`, or under `cache@redis` when two
    keys of the domain have a provider of that name; the longer name outranks the shorter.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    selections: dict[str, str] = Field(default_factory=dict)
    """Key to the provider that shall serve it."""
    provider_settings: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    """Provider, or `key@provider`, to its settings."""
