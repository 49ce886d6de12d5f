"""Providers that tell who calls; each module is loaded only when it serves."""
