"""The six namespaces, as data."""

from collections.abc import Mapping
from dataclasses import dataclass

from oneiric.core.ref import DOMAINS


@dataclass(frozen=True, slots=True)
class Domain:
    """One namespace of components: its name, its settings section, its plugin group.

    >>> ALL["adapter"].section, ALL["adapter"].group
    ('adapters', 'oneiric.adapters')
    """

    name: str

    @property
    def section(self) -> str:
        """The section of the settings that belongs to it."""
        return f"{self.name}s"

    @property
    def group(self) -> str:
        """The group of entry points whose plugins bring candidates for it."""
        return f"oneiric.{self.section}"


ALL: Mapping[str, Domain] = {name: Domain(name) for name in DOMAINS}
