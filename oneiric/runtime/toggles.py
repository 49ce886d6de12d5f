"""What is switched on and off, and by whom: what a profile such as `serverless` comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.config import Setting
from oneiric.runtime.settings import SECTIONS

if TYPE_CHECKING:
    from oneiric.config import Config
    from oneiric.errors import JSONValue


@dataclass(frozen=True, slots=True)
class ProfileToggles:
    """The profile in force, and every setting that is on or off, with who set it."""

    profile: str
    toggles: tuple[Setting, ...]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"profile", "toggles"}`, the latter a table of `{"value", "origin"}` by path."""
        return {
            "profile": self.profile,
            "toggles": {
                each.path: {"value": each.value, "origin": each.origin} for each in self.toggles
            },
        }


def toggles_of(config: Config) -> ProfileToggles:
    """Return what is on and off in the sections of *config*."""
    found = [
        Setting(f"{name}.{field}", value, config.origin(f"{name}.{field}"))
        for name, model in SECTIONS.items()
        for field in model.model_fields
        if isinstance(value := getattr(config.section(name), field), bool)
    ]
    return ProfileToggles(config.profile, tuple(found))
