"""Providers that read secrets by name; each module is loaded only when it serves."""
