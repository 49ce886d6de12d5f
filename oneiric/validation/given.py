"""Hand the parts of a validation what was said in Python or in a file of their product."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BaseModel, Field, create_model

if TYPE_CHECKING:
    from oneiric.core.build import SettingsSource
    from oneiric.core.candidate import Candidate


@dataclass(frozen=True, slots=True)
class GivenSettings:
    """Lay values under the settings of some places, or of some offers.

    What the configuration says of a setting counts; where it says nothing, and the provider has a
    setting of that name, it is given the value.

    Args:
        before: where components found their settings until now.
        given: values by name, by place (`adapter:validator`) or offer
            (`adapter:ledger@signed-files`).
    """

    before: SettingsSource
    given: Mapping[str, Mapping[str, object]]

    def settings_for(
        self, candidate: Candidate, model: type[BaseModel]
    ) -> BaseModel | Awaitable[BaseModel]:
        """Return *candidate*'s settings, or what gives them when awaited."""
        names = (str(candidate.ref), str(candidate.offer))
        values = {key: each for name in names for key, each in self.given.get(name, {}).items()}
        known = {key: each for key, each in values.items() if key in model.model_fields}
        return self.before.settings_for(candidate, with_defaults(model, known) if known else model)


def with_defaults(model: type[BaseModel], values: Mapping[str, object]) -> type[BaseModel]:
    """Return *model* with other defaults, which are checked as what is written is.

    >>> from pydantic import BaseModel
    >>> class Door(BaseModel):
    ...     key: str
    ...     height: int = 2
    >>> with_defaults(Door, {"key": "k"})().model_dump()
    {'key': 'k', 'height': 2}
    """
    fields: dict[str, Any] = {}
    for name, value in values.items():
        field = model.model_fields[name]
        annotation: Any = field.annotation
        if field.metadata:
            annotation = cast("Any", Annotated)[(annotation, *field.metadata)]
        fields[name] = (annotation, Field(default=value, validate_default=True))
    return create_model(model.__name__, __base__=model, **fields)
