"""Providers that keep values for a while; each module is loaded only when it serves."""
