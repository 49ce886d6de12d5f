"""Providers that keep objects; each module is loaded only when it serves."""
