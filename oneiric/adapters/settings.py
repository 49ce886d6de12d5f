"""What the settings of every built-in provider have in common."""

from pydantic import BaseModel, ConfigDict


class AdapterSettings(BaseModel):
    """Refuse unknown keys, never change, and keep what was typed out of error messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
