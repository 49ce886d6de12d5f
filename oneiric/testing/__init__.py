"""Public doubles for tests of what is built on Oneiric."""

from oneiric.testing.clock import ManualClock
from oneiric.testing.loopback import LoopbackServer, Request
from oneiric.testing.manifest_simulator import ManifestSimulator

__all__ = ["LoopbackServer", "ManifestSimulator", "ManualClock", "Request"]
