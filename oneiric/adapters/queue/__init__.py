"""Providers that hand messages to whoever works on them; loaded only when one serves."""
