"""HTTP on this machine's own addresses: servers with limits, one form of error, health."""
