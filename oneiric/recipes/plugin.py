"""What the room offers: who does steps that need no module, and who knows the runs."""

from collections.abc import Mapping
from types import MappingProxyType

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin

SESSIONS = "adapter:recipes"
NEEDS: Mapping[str, str] = MappingProxyType({"sessions": SESSIONS})

ADAPTERS = Plugin([Candidate(SESSIONS, "in-process-runs", "oneiric.recipes.sessions:Sessions")])
