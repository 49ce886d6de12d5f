"""What outlives the process, in SQLite."""

from oneiric.stores.selections import SelectionStore, StoredSelection

__all__ = ["SelectionStore", "StoredSelection"]
