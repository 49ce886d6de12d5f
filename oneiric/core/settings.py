"""stand-in until the config branch lands"""

from collections.abc import Callable, Mapping

from pydantic import BaseModel

from oneiric.errors import JSONValue


def validate_settings(
    model: type[BaseModel],
    values: Mapping[str, JSONValue],
    *,
    key: str,
    origin_of: Callable[[str], str],
) -> BaseModel:
    return model.model_validate(values)
