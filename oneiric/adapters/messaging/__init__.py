"""Providers that tell people something; each module is loaded only when it serves."""
