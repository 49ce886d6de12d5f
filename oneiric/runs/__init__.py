"""Plans and runs: declared work, what happened to it, and the engine that does it."""
