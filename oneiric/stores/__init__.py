"""What outlives the process, in SQLite."""

from oneiric.stores.activity import DomainActivityStore, DrainAnswer
from oneiric.stores.selections import SelectionStore, StoredSelection

__all__ = ["DomainActivityStore", "DrainAnswer", "SelectionStore", "StoredSelection"]
