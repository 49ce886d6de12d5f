"""Hand the parts of a validation what was said in Python or in a file of their product."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

    from oneiric.core.build import SettingsSource
    from oneiric.core.candidate import Candidate


@dataclass(frozen=True, slots=True)
class GivenSettings:
    """Lay values under the settings of some places, or of some offers.

    What the configuration says of a setting counts; where it says nothing, and the provider has a
    setting of that name, it is given the value.

    Args:
        before: where components found their settings until now.
        given: values by name, by place (`adapter:validator`) or offer (`adapter:ledger@files`).
    """

    before: SettingsSource
    given: Mapping[str, Mapping[str, object]]

    def settings_for(
        self, candidate: Candidate, model: type[BaseModel]
    ) -> BaseModel | Awaitable[BaseModel]:
        """Return *candidate*'s settings, or what gives them when awaited."""
        found = self.before.settings_for(candidate, model)
        names = (str(candidate.ref), str(candidate.offer))
        values = {key: each for name in names for key, each in self.given.get(name, {}).items()}
        values = {key: each for key, each in values.items() if key in model.model_fields}
        if not values:
            return found
        if isinstance(found, Awaitable):
            return _later(found, values)
        return _laid(found, values)


async def _later(found: Awaitable[BaseModel], values: Mapping[str, object]) -> BaseModel:
    return _laid(await found, values)


def _laid(found: BaseModel, values: Mapping[str, object]) -> BaseModel:
    said = {name: getattr(found, name) for name in found.model_fields_set}
    return type(found).model_validate({**values, **said})
