"""The section `[validation]` of the configuration, and the variables that set its keys."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from oneiric.config import RoomSettings


class ValidationSettings(BaseModel):
    """What is validated here, and how far a validation may go.

    What it leaves out is read from `.snipara-orchestrator.json`, where there is one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prod_url: str = ""
    """The address of production, such as `https://api.example.com`."""
    repo_path: str = ""
    """The repository; empty for the folder of the configuration."""
    test_user: str = "test@example.com"
    """As whom checks say that they test; nobody is logged in by it."""
    gatekeeper_id: str = "orchestrator-gatekeeper"
    """By which name gates say who decided."""
    fail_fast_on_drift: bool = True
    """Whether drift shuts the gate before production is asked."""
    auto_remember: bool = True
    """Whether what came of a task is remembered; never output, nor anything of an answer."""
    verbose: bool = True
    """Whether commands tell each step as it happens."""
    allow_hosts: list[str] = Field(default_factory=list, max_length=1_000)
    """Hosts that checks may ask besides that of production, as `host`, `host:port` or `*.host`."""
    read_only: bool = False
    """Whether only GET, HEAD and OPTIONS may be sent."""
    required_proofs: int = Field(default=3, ge=1, le=1_000)
    """How many proofs a task needs that does not say it itself."""
    max_parallel_tasks: int = Field(default=4, ge=1, le=100)
    """How many tasks of a batch are under way at once."""
    deployments: dict[str, list[str]] = Field(default_factory=dict)
    """Deployment providers: a name, and the program with its arguments."""


_SNIPARA = "adapters.provider_settings.snipara"
VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "PROD_URL": "validation.prod_url",
        "REPO_PATH": "validation.repo_path",
        "SNIPARA_API_KEY": f"{_SNIPARA}.api_key",
        "SNIPARA_API_URL": f"{_SNIPARA}.base_url",
        "SNIPARA_PROJECT": f"{_SNIPARA}.project",
    }
)
"""Variables with names of their own, which outrank every file."""

SETTINGS = RoomSettings("validation", ValidationSettings, VARIABLES)
