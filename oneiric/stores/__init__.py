"""What outlives the process, in SQLite."""

from oneiric.stores.dead_letters import DeadLetterStore
from oneiric.stores.schedules import ScheduleStore
from oneiric.stores.selections import SelectionStore, StoredSelection

__all__ = ["DeadLetterStore", "ScheduleStore", "SelectionStore", "StoredSelection"]
