"""The six namespaces and the way into each."""

from oneiric.domains.actions import Action, ActionBridge, ActionDescription, InvalidPayloadError
from oneiric.domains.bridge import ActivityVerbs, DomainBridge
from oneiric.domains.domain import ALL, Domain
from oneiric.domains.settings import DomainSettings, Name

__all__ = [
    "ALL",
    "Action",
    "ActionBridge",
    "ActionDescription",
    "ActivityVerbs",
    "Domain",
    "DomainBridge",
    "DomainSettings",
    "InvalidPayloadError",
    "Name",
]
