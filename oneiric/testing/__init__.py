"""Public doubles for tests of what is built on Oneiric."""

from oneiric.testing.clock import ManualClock

__all__ = ["ManualClock"]
