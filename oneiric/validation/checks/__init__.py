"""Checks of a service that runs: what they ask, and how it is asked."""
