"""The section `[recipes]` of the configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from oneiric.config import RoomSettings


class RecipeSettings(BaseModel):
    """What recipes may use on this machine; a recipe itself can only narrow it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allow_modules: list[str] = Field(default_factory=list)
    """Patterns of modules whose scriptlets may run, besides installed ones and those here."""
    allow_local: bool = True
    """Whether scriptlets from modules under the working directory may run."""
    allow_shell: bool = False
    """Whether a shell step may be text for a shell, where its recipe asks for that too."""
    folders: list[Path] = Field(default_factory=lambda: [Path("recipes")])
    """Where `oneiric recipe list` looks for recipes."""
    max_parallel: int = Field(default=0, ge=0, le=1_000)
    """How many steps of a run may be under way at once; 0 for as many as are ready."""
    load_seconds: float = Field(default=10.0, gt=0, le=600)
    """How long the module of a scriptlet may take to be imported."""


SETTINGS = RoomSettings("recipes", RecipeSettings)
