"""What outlives the process, in SQLite."""

from oneiric.stores.activity import DomainActivityStore, DrainAnswer, Follower
from oneiric.stores.dead_letters import DeadLetterStore
from oneiric.stores.selections import SelectionStore, StoredSelection

__all__ = [
    "DeadLetterStore",
    "DomainActivityStore",
    "DrainAnswer",
    "Follower",
    "SelectionStore",
    "StoredSelection",
]
