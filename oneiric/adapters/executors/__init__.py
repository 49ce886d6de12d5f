"""Providers of the port `executor`, and what they are made of."""
